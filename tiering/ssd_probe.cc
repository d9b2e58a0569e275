#include "tiering/ssd_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

namespace quire::tiering {

model::Result<std::unique_ptr<SsdProbe>> SsdProbe::create(SsdDirectory* directory, SsdMover* mover,
                                                          IoEngine* engine) {
  const std::string path = directory->path() + "/probe";
  const int direct = directory->direct_io() ? O_DIRECT : 0;
  model::FdGuard fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | direct, 0600));
  if (fd.get() < 0) return model::errno_error("open " + path);
  const FileIndex file = QUIRE_TRY(engine->add_file(fd.get()));
  auto block = QUIRE_TRY(allocator::ReservedMemory::reserve(kSsdBlockBytes));
  return std::unique_ptr<SsdProbe>(
      new SsdProbe(mover, engine, std::move(fd), file, std::move(block)));
}

SsdProbe::~SsdProbe() { engine_->remove_file(file_); }

bool SsdProbe::next(IoKind kind, uint64_t bytes) {
  op_ = IoOp{.kind = kind,
             .file = file_,
             .offset = 0,
             .data = static_cast<std::byte*>(block_.data()),
             .bytes = bytes,
             .tag = kTag};
  running_ = mover_->submit_other(&op_);
  return running_;
}

void SsdProbe::start(uint64_t region_bytes) {
  read_worked_ = false;
  write_worked_ = false;
  ++pattern_;
  next(IoKind::kAllocate, region_bytes);
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
    return !next(IoKind::kWrite, kSsdBlockBytes);
  }
  if (op.kind == IoKind::kWrite && op.error == 0) return !next(IoKind::kSync, 0);
  // Its room goes back at once.
  write_worked_ = op.kind == IoKind::kSync && op.error == 0;
  std::memset(block, 0xdd, kSsdBlockBytes);
  if (::ftruncate(fd_.get(), kSsdBlockBytes) != 0) write_worked_ = false;
  return !next(IoKind::kRead, kSsdBlockBytes);
}

}  // namespace quire::tiering
