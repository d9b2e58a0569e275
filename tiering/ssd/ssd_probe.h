// Asks a device that failed whether it works again: allocates some room in a file of its own that
// has no name, writes a block, syncs, reads it back, compares. Nothing waits for it. Threads: core
// only.
#pragma once

#include <array>
#include <cstdint>

#include "allocator/flat_array.h"
#include "model/fd_guard.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/ssd/ssd_health.h"
#include "tiering/ssd/ssd_mover.h"

namespace quire::tiering {

class SsdProbe {
 public:
  static constexpr uint64_t kTag = 1ull << 60;  // in IoOp::tag

  static model::Result<std::unique_ptr<SsdProbe>> create(SsdDirectory* directory, SsdMover* mover,
                                                         IoEngine* engine);
  ~SsdProbe();

  bool running() const { return running_; }
  void start(uint64_t room_bytes);
  // True when this was its last step; the verdict stands in worked().
  bool on_done(IoOp& op);
  bool read_worked() const { return read_worked_; }
  bool write_worked() const { return write_worked_; }

 private:
  SsdProbe(SsdMover* mover, IoEngine* engine, model::FdGuard fd, FileIndex file,
           allocator::ReservedMemory block)
      : mover_(mover), engine_(engine), fd_(std::move(fd)), file_(file), block_(std::move(block)) {}
  void next(IoKind kind, uint64_t bytes);

  SsdMover* mover_;
  IoEngine* engine_;
  model::FdGuard fd_;
  FileIndex file_;
  allocator::ReservedMemory block_;
  IoOp op_;
  uint64_t pattern_ = 0;
  bool running_ = false;
  bool read_worked_ = false;
  bool write_worked_ = false;
};

}  // namespace quire::tiering
