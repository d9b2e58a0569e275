#include "tiering/ssd/ssd_probe.h"

#include <unistd.h>

#include <cstring>

namespace quire::tiering {

model::Result<std::unique_ptr<SsdProbe>> SsdProbe::create(SsdDirectory* directory, SsdMover* mover,
                                                          IoEngine* engine) {
  model::FdGuard fd = QUIRE_TRY(directory->nameless_file());
  const FileIndex file = QUIRE_TRY(engine->add_file(fd.get()));
  auto block = QUIRE_TRY(allocator::ReservedMemory::reserve(kSsdBlockBytes));
  return std::unique_ptr<SsdProbe>(
      new SsdProbe(mover, engine, std::move(fd), file, std::move(block)));
}

SsdProbe::~SsdProbe() { engine_->remove_file(file_); }

void SsdProbe::next(IoKind kind, uint64_t bytes) {
  op_ = IoOp{.kind = kind,
             .file = file_,
             .offset = 0,
             .data = static_cast<std::byte*>(block_.data()),
             .bytes = bytes,
             .tag = kTag};
  mover_->submit_other(&op_);
}

void SsdProbe::start(uint64_t room_bytes) {
  read_worked_ = false;
  write_worked_ = false;
  ++pattern_;
  running_ = true;
  next(IoKind::kAllocate, room_bytes);
}

bool SsdProbe::on_done(IoOp& op) {
  auto* block = static_cast<std::byte*>(block_.data());
  if (op.kind == IoKind::kRead) {
    uint64_t found = 0;
    std::memcpy(&found, block, sizeof(found));
    // After a write that failed only the reading itself is judged.
    read_worked_ = op.error == 0;
    write_worked_ = write_worked_ && read_worked_ && found == pattern_;
    running_ = false;
    return true;
  }
  if (op.kind == IoKind::kAllocate && op.error == 0) {
    std::memset(block, 0, kSsdBlockBytes);
    std::memcpy(block, &pattern_, sizeof(pattern_));
    next(IoKind::kWrite, kSsdBlockBytes);
    return false;
  }
  if (op.kind == IoKind::kWrite && op.error == 0) {
    next(IoKind::kSync, 0);
    return false;
  }
  // Its room goes back at once.
  write_worked_ = op.kind == IoKind::kSync && op.error == 0;
  std::memset(block, 0xdd, kSsdBlockBytes);
  if (::ftruncate(fd_.get(), kSsdBlockBytes) != 0) write_worked_ = false;
  next(IoKind::kRead, kSsdBlockBytes);
  return false;
}

}  // namespace quire::tiering
