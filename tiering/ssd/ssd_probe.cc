#include "tiering/ssd/ssd_probe.h"

#include <unistd.h>

#include <cstring>

namespace quire::tiering {

model::Result<std::unique_ptr<SsdProbe>> SsdProbe::create(SsdDirectory* directory, IoPort* io,
                                                          IoEngine* engine) {
  QUIRE_TRY(directory->make_folder());
  model::FdGuard fd = QUIRE_TRY(directory->data_files().nameless());
  const FileIndex file = QUIRE_TRY(engine->add_file(fd.get()));
  auto block = QUIRE_TRY(allocator::ReservedMemory::reserve(kSsdBlockBytes));
  return std::unique_ptr<SsdProbe>(new SsdProbe(io, engine, std::move(fd), file, std::move(block)));
}

SsdProbe::~SsdProbe() { engine_->remove_file(file_); }

void SsdProbe::next(IoKind kind, uint64_t bytes) {
  op_ = IoOp{.kind = kind,
             .file = file_,
             .offset = 0,
             .data = static_cast<std::byte*>(block_.data()),
             .bytes = bytes,
             .client = &client_};
  io_->submit_first(&op_);
}

void SsdProbe::start(uint64_t room_bytes) {
  read_worked_ = false;
  write_worked_ = false;
  ++pattern_;
  running_ = true;
  next(IoKind::kAllocate, room_bytes);
}

bool SsdProbe::step() {
  const bool was_running = running_;
  for (const IoOp* op : client_.take()) go_on(*op);
  return was_running && !running_;
}

void SsdProbe::go_on(const IoOp& op) {
  auto* block = static_cast<std::byte*>(block_.data());
  if (op.kind == IoKind::kRead) {
    uint64_t found = 0;
    std::memcpy(&found, block, sizeof(found));
    // After a write that failed only the reading itself is judged.
    read_worked_ = op.error == 0;
    write_worked_ = write_worked_ && read_worked_ && found == pattern_;
    running_ = false;
    return;
  }
  if (op.kind == IoKind::kAllocate && op.error == 0) {
    std::memset(block, 0, kSsdBlockBytes);
    std::memcpy(block, &pattern_, sizeof(pattern_));
    return next(IoKind::kWrite, kSsdBlockBytes);
  }
  if (op.kind == IoKind::kWrite && op.error == 0) return next(IoKind::kSync, 0);
  // Its room goes back at once.
  write_worked_ = op.kind == IoKind::kSync && op.error == 0;
  std::memset(block, 0xdd, kSsdBlockBytes);
  if (::ftruncate(fd_.get(), kSsdBlockBytes) != 0) write_worked_ = false;
  next(IoKind::kRead, kSsdBlockBytes);
}

}  // namespace quire::tiering
