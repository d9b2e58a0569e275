// Asks a device that failed whether it works again: allocates some room in a file of its own that
// has no name, writes a block, syncs, reads it back, compares. Nothing waits for it. Threads: core
// only.
#pragma once

#include <cstdint>
#include <memory>

#include "allocator/flat_array.h"
#include "model/fd_guard.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/io/io_port.h"

namespace quire::tiering {

class SsdProbe {
 public:
  static model::Result<std::unique_ptr<SsdProbe>> create(SsdDirectory* directory, IoPort* io,
                                                         IoEngine* engine);
  ~SsdProbe();

  bool running() const { return running_; }
  void start(uint64_t room_bytes);
  // Goes on with what came back. True when that was its end: the verdict stands until start().
  bool step();
  bool read_worked() const { return read_worked_; }
  bool write_worked() const { return write_worked_; }

 private:
  SsdProbe(IoPort* io, IoEngine* engine, model::FdGuard fd, FileIndex file,
           allocator::ReservedMemory block)
      : io_(io), engine_(engine), fd_(std::move(fd)), file_(file), block_(std::move(block)) {}
  void next(IoKind kind, uint64_t bytes);
  void go_on(const IoOp& op);

  IoPort* io_;
  IoEngine* engine_;
  model::FdGuard fd_;
  FileIndex file_;
  allocator::ReservedMemory block_;
  IoOp op_;
  IoClient client_;
  uint64_t pattern_ = 0;
  bool running_ = false;
  bool read_worked_ = false;
  bool write_worked_ = false;
};

}  // namespace quire::tiering
