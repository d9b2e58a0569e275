// A device without a thread, over files in memory (tests/ssd/scratch_directory.h).
//
// What is flushed is done at some later poll(), after a time on the manual clock that the seed
// decides, in any order. On demand it fails, transfers less than asked, turns a bit over, hangs, or
// is full. A crash loses, block by block, what no sync had covered, and does a part of what was
// under way: the state of a real disk after the power went.
//
//   submit -> queued -> flush -> under way -> poll -> told
//                                   |            \--> undo log of its file, until a sync
//                                   \--crash: some blocks of it are done, and nobody is told
//
// Lifetime: outlives the tiers that use it, one after the other; it keeps a descriptor of each file
// of its own, by inode, so that it knows a file again. Threads: one. Bounds: queue_depth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "model/clock.h"
#include "model/fd_guard.h"
#include "tests/sim/sim_world.h"
#include "tiering/io/io_engine.h"

namespace quire::tests {

// One operation in so many of a kind misbehaves; 0: none does.
struct SimDiskFaults {
  uint32_t fail = 0;       // EIO; nothing reaches the device
  uint32_t shorten = 0;    // ENODATA, after some blocks of it
  uint32_t flip = 0;       // a read succeeds, with one bit turned over
  uint32_t rot = 0;        // a write succeeds, and one bit of it on the device is turned over
  uint32_t hang = 0;       // takes seconds
  uint32_t fail_sync = 0;  // EIO, and what it should have covered is as it was
  uint32_t full = 0;       // an allocation fails with ENOSPC
  bool damages() const { return flip != 0 || rot != 0; }
  bool any() const {
    return damages() || fail != 0 || shorten != 0 || hang != 0 || fail_sync != 0 || full != 0;
  }
};

class SimDisk final : public tiering::IoEngine {
 public:
  SimDisk(SimRandom* random, const model::Clock* clock, const SimDiskFaults& faults)
      : random_(random), clock_(clock), faults_(faults) {}
  ~SimDisk() override = default;

  // The power goes; call it while the tier's memory is still there. Of what was not synced some
  // blocks are lost, of what was under way some are done, and nobody is told any more.
  void crash();
  void set_faults(const SimDiskFaults& faults) { faults_ = faults; }
  uint64_t fault_count() const { return fault_count_; }
  uint64_t damage_count() const { return damage_count_; }

  std::string_view name() const override { return "sim"; }
  model::Result<tiering::FileIndex> add_file(int fd) override;
  void remove_file(tiering::FileIndex file) override { places_[file.value] = nullptr; }
  model::Result<void> add_buffer(std::span<std::byte>) override { return {}; }
  void remove_buffer(const std::byte*) override {}
  uint64_t registered_bytes() const override { return 0; }
  bool submit(tiering::IoOp* op) override;
  void flush() override;
  size_t poll(std::span<tiering::IoOp*> done) override;
  size_t in_flight() const override { return queued_.size() + under_way_.size(); }
  uint32_t queue_depth() const override { return kDepth; }
  uint64_t stale_completions() const override { return 0; }
  int wake_fd() const override { return -1; }

 private:
  static constexpr uint32_t kDepth = 32;
  static constexpr uint64_t kBlock = 4096;

  // What a block held before a write that no sync has covered yet.
  struct Undo {
    uint64_t number = 0;  // of the write
    uint64_t offset = 0;
    std::vector<std::byte> before;
  };
  struct File {
    model::FdGuard fd;
    std::deque<Undo> undo;  // oldest first
  };
  struct Flight {
    tiering::IoOp* op = nullptr;
    File* file = nullptr;
    int64_t due_ns = 0;
    uint64_t number = 0;  // in the order of flush(): a sync covers what was told before
  };

  int64_t duration(const tiering::IoOp& op);
  void finish(Flight& flight);
  void read(Flight& flight);
  void write(Flight& flight);
  void write_blocks(File& file, uint64_t offset, std::span<const std::byte> bytes);
  void sync(Flight& flight);
  void flip_bit(std::span<std::byte> bytes);
  void lose_writes(File& file);
  bool happens(uint32_t one_in);

  SimRandom* random_;
  const model::Clock* clock_;
  SimDiskFaults faults_;
  std::map<uint64_t, File> files_;  // by inode
  std::vector<File*> places_;       // by FileIndex; null: free
  std::vector<tiering::IoOp*> queued_;
  std::vector<Flight> under_way_;
  uint64_t next_number_ = 1;
  uint64_t fault_count_ = 0;
  uint64_t damage_count_ = 0;
};

}  // namespace quire::tests
