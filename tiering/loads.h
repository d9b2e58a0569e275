// Brings what a load misses from the tiers below to RAM (DESIGN section 6).
//
//   queued --all RAM it needs is reserved--> running --every node in RAM--> finished
//      \------------ deadline, failure, cancelled ------------\-----------> finished
//
// Each tenant has a queue of its own, interactive loads first, and the queues take turns: a tenant
// waits only for itself. In a domain, whose memory its tenants share, one load at a time reserves,
// and none starts before it has all it needs: so two loads can never hold half of each other's
// memory. Who finds no room gives back what it has while another tenant tries. What a tenant can
// never hold is refused at once, and what finds no room while nothing that goes on would make some,
// soon.
// Reads start with the head of the prefix, each from the fastest tier that has the node.
// A node that another load already brings is waited for, not read twice. What a load does not need
// any more when it ends is still read to its end: its job has pins and slots of its own, so a
// tier's memory is never given away early. Every node of a load is pinned for as long as the load
// lives. Loads of a class share a tier: each has a bounded number of bytes under way. Threads: core
// only. Bounds: loads and nodes of a domain and in all; nodes reserved, and pins let go, in one
// step.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "cache/objects/pin.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "model/ring_frames.h"
#include "tiering/job_table.h"
#include "tiering/tier.h"

namespace quire::tiering {

inline constexpr size_t kMaxLoads = 4096;          // of the daemon
inline constexpr size_t kMaxLoadsOfDomain = 1024;  // a large batch that starts cold
// Of all loads of a domain, but one is always taken: some 16 bytes each.
inline constexpr size_t kMaxLoadNodesOfDomain = 1 << 20;

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

// By tier: a load counts where its first object lies, an object where it was read.
struct LoadCounters {
  model::Counter started{"loads", "Loads that had something to bring from the device"};
  model::Counter finished{"loads_finished", "Of these, loads that ended, well or not"};
  model::Counter deadline_exceeded{"loads_past_deadline",
                                   "Of these, loads whose deadline came first"};
  model::Counter failed{"loads_failed", "Of these, loads that the device or RAM failed"};
  model::Counter read_failures{"failed_objects", "Objects that could not be read"};
  model::Counter corrupt{"corrupt", "Objects whose header or bytes were not what they should be"};
  model::Counter shared{"shared_objects", "Objects that another load was bringing already"};
};

class Loads {
 public:
  Loads(cache::Cache* cache, const model::Clock* clock) : cache_(cache), clock_(clock) {}
  Loads(const Loads&) = delete;
  Loads& operator=(const Loads&) = delete;
  ~Loads();
  // Outlives the loads.
  void add_tier(Tier* tier) { tiers_[model::index_of(tier->id())] = tier; }

  // kBusy: a bound is reached. kUnavailable: no tier can be read. kResourceExhausted: more than the
  // domain can have of RAM; nothing is evicted for it. Precondition: nodes, all of one domain.
  model::Result<void> start(const LoadRequest& request);
  void cancel(uint64_t tag);  // nothing is reported for it; unknown: nothing happens
  // The first node of the load that is not in RAM yet; none when all are, or the load is unknown.
  model::NodeId next_missing(uint64_t tag) const;
  std::vector<FinishedLoad>& finished() { return finished_; }
  // Tags of loads of which more of the head came to RAM; some may have finished too.
  std::vector<uint64_t>& advanced() { return advanced_; }

  bool step(int64_t now_ns);
  // What came of a read of this tier.
  void take(Tier& tier, const TierEvent& event);

  size_t count() const { return loads_.size(); }
  bool idle() const { return loads_.empty() && leaving_.empty(); }
  uint64_t estimate_us(uint64_t bytes) const;
  const LoadCounters& counters(model::TierId tier) const {
    return counters_[model::index_of(tier)];
  }

 private:
  struct Load {
    uint64_t tag = 0;
    model::DomainId domain;
    model::TenantId tenant;
    model::LoadClass load_class = model::LoadClass::kInteractive;
    model::LoadOrder order = model::LoadOrder::kBlockMajor;
    int64_t started_ns = 0;
    int64_t deadline_ns = 0;
    uint64_t estimated_us = 0;
    model::TierId from{};  // where its first node lay
    std::vector<cache::Pin> nodes;
    std::vector<model::SlotId> slots;  // reserved, of nodes [issued, reserved), flattened
    std::vector<uint32_t> slot_ends;   // in `slots`, by node
    size_t reserved = 0;               // nodes with slots, or that need none
    size_t issued = 0;
    uint64_t bytes_under_way = 0;            // of its jobs
    uint64_t bytes_left = 0;                 // not in RAM yet
    size_t head = 0;                         // nodes [0, head) are in RAM
    model::Errc failure = model::Errc::kOk;  // of the load as a whole
    bool gives_way = false;                  // its slots go back, so that another load may reserve
    bool is_reserved() const { return reserved == nodes.size(); }
  };
  enum class Reserved : uint8_t { kDone, kMore, kWaiting, kNoRoom };
  struct Queue {
    model::DomainId domain;
    std::vector<Load*> loads;  // in the order of service
  };
  using Queues = std::map<uint32_t, Queue>;  // by tenant; one without loads is erased
  // What is bounded by domain, and the memory that its tenants share.
  struct Domain {
    size_t loads = 0;
    size_t nodes = 0;  // of these loads, and of those that are let go
    uint32_t leaving = 0;
    Load* reserving = nullptr;  // holds a part of what it needs; null: nobody does
  };
  // What a tier reads, also after its load ended.
  struct ReadJob {
    uint64_t load = 0;  // tag
    uint64_t bytes = 0;
    uint32_t left = 0;  // objects without an event
    std::array<cache::Pin, kMaxJobObjects> nodes;
    std::vector<model::SlotId> slots;  // of all of them, one behind the other
    std::array<uint32_t, kMaxJobObjects> slot_ends{};
  };

  model::Result<void> check_bounds(const LoadRequest& request, model::DomainId domain) const;
  model::Result<void> check_fits(model::TenantId tenant, uint64_t bytes) const;
  void serve_queues();
  void serve(Queue& queue, uint32_t nodes);
  void reserve_for(Load& load, uint32_t nodes);
  bool may_get_room(const Load& load) const;
  bool others_wait(const Load& load) const;
  Reserved reserve(Load& load, uint32_t nodes);
  void give_way(Load& load, uint32_t nodes);
  bool needs_slots(model::NodeId node) const;
  bool reserve_node(Load& load, model::NodeId node, Reserved& outcome);
  void issue(Load& load);
  uint32_t issue_run(Load& load);
  void note_issued(Load& load, std::span<const ReadObject> objects, uint32_t job_number);
  // The fastest tier that has the node and can be read; null: none.
  Tier* source_of(model::NodeId node) const;
  Tier* first_readable() const;
  LoadCounters& counters_of(model::TierId tier) { return counters_[model::index_of(tier)]; }
  void finish_object(model::TierId tier, ReadJob& job, uint32_t index, model::Errc code);
  std::span<const model::SlotId> slots_of(const Load& load, size_t index) const;
  // nullopt: goes on.
  std::optional<model::Errc> outcome(Load& load, int64_t now_ns);
  void finish(Load& load, model::Errc code, int64_t now_ns);
  bool is_unreadable(model::NodeId node) const;
  void set_bytes_left(Load& load, uint64_t bytes);
  void leave(Queues::iterator queue, Load& load);
  // Pins and slots of loads that ended; `nodes` at most.
  bool let_go(uint32_t nodes);

  cache::Cache* cache_;
  const model::Clock* clock_;
  std::array<Tier*, model::kTierCount> tiers_{};  // null: there is none
  JobTable<ReadJob> jobs_;
  std::unordered_map<uint64_t, std::unique_ptr<Load>> loads_;  // by tag
  Queues queues_;
  std::map<uint16_t, Domain> domains_;         // by id; one that has nothing is erased
  uint32_t last_served_ = 0;                   // whose queue came first in the last step
  std::deque<std::unique_ptr<Load>> leaving_;  // ended: what they hold goes in steps
  // What a device could not read, with its key, since an id may be used again: the loads that
  // come to it say so. Emptied when no load is left.
  std::unordered_map<uint32_t, model::Hash256> unreadable_;
  // Of interactive loads, for estimates: what is left of each, and of each up to kLoadBytes.
  uint64_t bytes_left_ = 0;
  uint64_t near_bytes_left_ = 0;
  size_t interactive_count_ = 0;
  std::vector<FinishedLoad> finished_;
  std::vector<uint64_t> advanced_;
  std::array<LoadCounters, model::kTierCount> counters_;
};

}  // namespace quire::tiering
