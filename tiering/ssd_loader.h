// Brings what a load misses from the SSD to RAM (DESIGN section 6).
//
//   queued --all RAM it needs is reserved--> running --every node in RAM--> finished
//      \------------ deadline, failure, cancelled ------------\-----------> finished
//
// One load at a time reserves, interactive ones first, and none starts before it has all it needs:
// so two loads can never hold half of each other's memory. Reads start with the head of the prefix.
// A node that another load already brings is waited for, not read twice. What a load does not need
// any more when it ends is still read to its end: an operation's memory is never given away early.
// Every node of a load is pinned for as long as the load lives. Loads of a class share the device:
// each has a bounded number of bytes under way. Threads: core only. Bounds: kMaxLoads, 64 nodes
// reserved in one step.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/ring_frames.h"
#include "tiering/load_estimator.h"
#include "tiering/ssd_files.h"
#include "tiering/ssd_health.h"
#include "tiering/ssd_mover.h"

namespace quire::tiering {

inline constexpr size_t kMaxLoads = 4096;

struct LoadRequest {
  uint64_t tag = 0;  // the caller's, unique among its loads
  model::LoadClass load_class = model::LoadClass::kInteractive;
  model::LoadOrder order = model::LoadOrder::kBlockMajor;
  int64_t deadline_ns = 0;
  std::span<const model::NodeId> nodes;  // not in RAM, present; head first
};

struct FinishedLoad {
  uint64_t tag = 0;
  model::Errc code = model::Errc::kOk;  // kDeadlineExceeded, kIoError, kCorrupt, kResourceExhausted
};

struct LoaderCounters {
  uint64_t started = 0;
  uint64_t finished = 0;
  uint64_t deadline_exceeded = 0;
  uint64_t failed = 0;
  uint64_t read_failures = 0;  // objects
  uint64_t corrupt = 0;        // objects whose header or bytes were not what they should be
  uint64_t shared = 0;         // objects another load was bringing already
};

struct LoaderParts {
  cache::Cache* cache = nullptr;
  SsdMover* mover = nullptr;
  SsdFiles* files = nullptr;
  SsdHealth* health = nullptr;
  LoadEstimator* estimator = nullptr;
  const model::Clock* clock = nullptr;
};

class SsdLoader {
 public:
  explicit SsdLoader(const LoaderParts& parts) : parts_(parts) {}
  ~SsdLoader();

  // kBusy: kMaxLoads are under way. kUnavailable: the tier is off.
  model::Result<void> start(const LoadRequest& request);
  void cancel(uint64_t tag);  // nothing is reported for it; unknown: nothing happens
  // The first node of the load that is not in RAM yet; none when all are, or the load is unknown.
  model::NodeId next_missing(uint64_t tag) const;
  std::vector<FinishedLoad>& finished() { return finished_; }

  bool step(int64_t now_ns);
  void on_settled(Transfer& transfer, uint32_t object);

  size_t count() const { return loads_.size(); }
  uint64_t estimate_us(uint64_t bytes) const;
  const LoaderCounters& counters() const { return counters_; }

 private:
  struct Load {
    uint64_t tag = 0;
    model::LoadClass load_class = model::LoadClass::kInteractive;
    model::LoadOrder order = model::LoadOrder::kBlockMajor;
    int64_t started_ns = 0;
    int64_t deadline_ns = 0;
    uint64_t estimated_us = 0;
    std::vector<model::NodeId> nodes;
    std::vector<model::SlotId> slots;  // reserved, of nodes [issued, reserved), flattened
    std::vector<uint32_t> slot_ends;   // in `slots`, by node
    size_t reserved = 0;               // nodes with slots, or that need none
    size_t issued = 0;
    uint64_t bytes_under_way = 0;            // of its transfers
    uint64_t bytes_left = 0;                 // not in RAM yet
    size_t head = 0;                         // nodes [0, head) are in RAM
    model::NodeId unreadable;                // the device failed there
    model::Errc failure = model::Errc::kOk;  // of the load as a whole
    bool is_reserved() const { return reserved == nodes.size(); }
  };
  enum class Reserved : uint8_t { kDone, kMore, kWaiting, kNoRoom };

  void reserve_and_issue();
  Reserved reserve(Load& load);
  bool needs_slots(model::NodeId node) const;
  bool reserve_node(Load& load, model::NodeId node, Reserved& outcome);
  void issue(Load& load);
  uint32_t run_length(const Load& load) const;
  void issue_run(Load& load, Transfer& transfer, uint32_t count);
  std::span<const model::SlotId> slots_of(const Load& load, size_t index) const;
  // nullopt: goes on.
  std::optional<model::Errc> outcome(Load& load, int64_t now_ns);
  void finish(Load& load, model::Errc code, int64_t now_ns);
  void note_unreadable(model::NodeId node);
  void let_go(Load& load);

  LoaderParts parts_;
  std::deque<std::unique_ptr<Load>> loads_;  // in the order of service
  std::unordered_map<uint64_t, Load*> by_tag_;
  std::vector<FinishedLoad> finished_;
  LoaderCounters counters_;
};

}  // namespace quire::tiering
