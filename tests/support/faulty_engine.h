// An IoEngine whose device misbehaves on command, over a real one.
//
// Operations go on in flush(), in the order of submit(), numbered from 0. Before each the hook is
// called, with everything before it handed to the kernel. A fault names the n-th operation of some
// kinds, counted from add_fault(); where several name one operation, the earliest added acts.
// A read that fails, of a fault or for real, leaves 0xDD in the memory that it did not fill, so
// that whoever ignores errors is caught by what it reads.
// Lifetime: the destructor destroys the inner engine; what is held back is never delivered.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "model/fd_guard.h"
#include "model/result.h"
#include "tiering/io/io_engine.h"

namespace quire::tests {

inline constexpr std::byte kPoison{0xDD};

// Kinds of operations as a set.
using KindMask = uint32_t;
constexpr KindMask mask_of(tiering::IoKind kind) { return 1u << static_cast<uint32_t>(kind); }
inline constexpr KindMask kReads = mask_of(tiering::IoKind::kRead);
inline constexpr KindMask kWrites = mask_of(tiering::IoKind::kWrite);
inline constexpr KindMask kSyncs = mask_of(tiering::IoKind::kSync);
inline constexpr KindMask kAllocates = mask_of(tiering::IoKind::kAllocate);
inline constexpr KindMask kDeallocates = mask_of(tiering::IoKind::kDeallocate);
inline constexpr KindMask kAllKinds = kReads | kWrites | kSyncs | kAllocates | kDeallocates;

enum class FaultAction : uint8_t {
  kFail,     // `error`, and nothing reaches the device
  kShorten,  // the first `amount` bytes are transferred, then ENODATA; of reads and writes
  kFlipBit,  // of a read that succeeded, bit `amount` of its data is inverted
  kHold,     // done, but not told until release_held()
  kDelay,    // goes on to the device only at release_held(): the late transfer of a slow one
  kHang,     // never goes on, never told
};

struct Fault {
  KindMask kinds = kAllKinds;
  uint64_t nth = 0;
  FaultAction action = FaultAction::kFail;
  bool from_then_on = false;  // the n-th and all that follow
  int error = 5;              // EIO
  uint64_t amount = 0;
};

class FaultyEngine final : public tiering::IoEngine {
 public:
  using Hook = std::function<void(const tiering::IoOp& op, uint64_t index)>;

  // `seed` decides the order in which held operations are released.
  explicit FaultyEngine(std::unique_ptr<tiering::IoEngine> inner, uint64_t seed = 1);

  void add_fault(const Fault& fault) { faults_.push_back({fault, 0}); }
  void clear_faults() { faults_.clear(); }
  // Completions that arrive from now on wait for release_held().
  void hold_all(bool hold) { hold_all_ = hold; }
  size_t held_count() const { return held_.size() + delayed_.size(); }
  // Lets `count` held or delayed operations go, in an order the seed decides.
  void release_held(size_t count = SIZE_MAX);
  // Of those held, not delayed, the one that came first.
  void release_oldest();
  void set_hook(Hook hook) { hook_ = std::move(hook); }
  // Operations that came to go on, those that were failed or held among them.
  uint64_t count(tiering::IoKind kind) const { return counts_[static_cast<size_t>(kind)]; }
  // Attempts to submit one that found no place.
  uint64_t refused_count(tiering::IoKind kind) const { return refused_[static_cast<size_t>(kind)]; }
  uint64_t total_count() const { return next_index_; }
  uint64_t faults_acted() const { return faults_acted_; }

  std::string_view name() const override { return inner_->name(); }
  model::Result<tiering::FileIndex> add_file(int fd) override { return inner_->add_file(fd); }
  void remove_file(tiering::FileIndex file) override { inner_->remove_file(file); }
  model::Result<void> add_buffer(std::span<std::byte> memory) override {
    return inner_->add_buffer(memory);
  }
  void remove_buffer(const std::byte* start) override { inner_->remove_buffer(start); }
  uint64_t registered_bytes() const override { return inner_->registered_bytes(); }
  bool submit(tiering::IoOp* op) override;
  void flush() override;
  size_t poll(std::span<tiering::IoOp*> done) override;
  size_t in_flight() const override { return in_flight_; }
  uint32_t queue_depth() const override { return inner_->queue_depth(); }
  uint64_t stale_completions() const override { return inner_->stale_completions(); }
  int wake_fd() const override { return wake_set_.get(); }

 private:
  // One operation on its way; the inner engine sees only `inner`.
  struct Flight {
    tiering::IoOp inner;
    tiering::IoOp* outer = nullptr;
    uint64_t index = 0;
    Fault fault;
    bool has_fault = false;

    bool has(FaultAction action) const { return has_fault && fault.action == action; }
  };
  struct CountedFault {
    Fault fault;
    uint64_t matched = 0;
  };

  void go_on(Flight* flight);
  bool choose_fault(tiering::IoKind kind, Fault* chosen);
  void forward(Flight* flight);
  void collect();
  void finish(Flight* flight);
  void update_wake();

  std::mt19937_64 random_;
  Hook hook_;
  std::vector<CountedFault> faults_;
  bool hold_all_ = false;
  std::array<uint64_t, 5> counts_{};
  std::array<uint64_t, 5> refused_{};
  uint64_t next_index_ = 0;
  uint64_t faults_acted_ = 0;

  std::vector<Flight> flights_;  // never moves: the inner engine points into it
  std::vector<Flight*> free_;
  std::vector<Flight*> queued_;   // submitted, not flushed
  std::vector<Flight*> held_;     // done, not told
  std::vector<Flight*> delayed_;  // not gone on
  std::vector<Flight*> ready_;    // for poll()
  size_t in_flight_ = 0;
  // Readable when the inner engine's is, or ready_ holds something.
  model::FdGuard own_wake_;
  model::FdGuard wake_set_;
  const std::unique_ptr<tiering::IoEngine> inner_;  // last: it ends before what it points into
};

}  // namespace quire::tests
