// Brings what a load misses from the tiers below to RAM (DESIGN section 6).
//
//   queued --all RAM it needs is reserved--> running --every node in RAM--> finished
//      \------------ deadline, failure, cancelled ------------\-----------> finished
//
// Who is served next, and who reads next: LoadQueues; a tenant waits only for itself. What a load
// holds: LoadMemory. What is asked of the tiers: LoadReads. In a domain, whose memory its tenants
// share, one load at a time reserves, and none starts before it has all it needs: so two loads can
// never hold half of each other's memory. Who finds no room gives back what it has while another
// one tries. What a tenant can never hold is refused at once, and what finds no room while nothing
// that goes on would make some, soon. Reads start with the head of the prefix, each from the
// fastest tier that has the node. Every node of a load is pinned for as long as the load lives.
// Threads: core only. Bounds: loads and nodes of a domain and in all; tenants served, loads looked
// at, nodes reserved, and pins let go, in one step: a step costs the same however many loads wait.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/ring_frames.h"
#include "tiering/leaving_loads.h"
#include "tiering/load_backlog.h"
#include "tiering/load_looks.h"
#include "tiering/load_memory.h"
#include "tiering/load_queues.h"
#include "tiering/load_reads.h"
#include "tiering/load_record.h"
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
  cache::ReservationRef reservation;     // that it is under
};

struct FinishedLoad {
  uint64_t tag = 0;
  model::Errc code = model::Errc::kOk;  // kDeadlineExceeded, kIoError, kCorrupt, kResourceExhausted
};

class Loads {
 public:
  Loads(cache::Cache* cache, const model::Clock* clock)
      : cache_(cache), clock_(clock), memory_(cache), reads_(cache, &memory_) {}
  Loads(const Loads&) = delete;
  Loads& operator=(const Loads&) = delete;
  ~Loads();
  // Outlives the loads.
  void add_tier(Tier* tier) { reads_.add_tier(tier); }

  // kBusy: a bound is reached. kUnavailable: no tier can be read. kResourceExhausted: more than the
  // domain can have of RAM; nothing is evicted for it. Precondition: nodes, all of one domain.
  model::Result<void> start(const LoadRequest& request);
  void cancel(uint64_t tag);  // nothing is reported for it; unknown: nothing happens
  // The first node of the load that is not in RAM yet; none when all are, or the load is unknown.
  model::NodeId next_missing(uint64_t tag) const;
  std::vector<FinishedLoad>& finished() { return finished_; }
  // Tags of loads of which more of the head came to RAM; some may have finished too.
  std::vector<uint64_t>& advanced() { return advanced_; }

  // True: the next one has something to do already.
  bool step(int64_t now_ns);
  // What came of a read of this tier.
  void take(Tier& tier, const TierEvent& event);

  size_t count() const { return loads_.size(); }
  bool idle() const { return loads_.empty() && leaving_.empty() && reads_.idle(); }
  // One tier's part after the other's: an upper bound, for they read at the same time.
  uint64_t estimate_us(const cache::TierBytes& bytes) const;
  const LoadCounters& counters(model::TierId tier) const { return reads_.counters(tier); }
  void check_invariants() const;

 private:
  LoadBacklog& backlog_of(const LoadRecord& load) { return backlogs_[model::index_of(load.from)]; }
  cache::TierBytes bytes_of(std::span<const model::NodeId> nodes) const;
  model::Result<void> check_bounds(const LoadRequest& request, model::DomainId domain) const;
  std::unique_ptr<LoadRecord> make_record(const LoadRequest& request) const;
  bool serve_tenants();
  // True: it has all it needs now.
  bool reserve_for(LoadRecord& load, uint32_t nodes);
  bool may_get_room(const LoadRecord& load) const;
  void give_way(LoadRecord& load, uint32_t nodes);
  bool read_in_shares();
  LoadQueues::Taken read_for(LoadQueues::Tenant& tenant);
  // True: it ended.
  bool look_at(LoadRecord& load, int64_t now_ns);
  // nullopt: goes on.
  std::optional<model::Errc> outcome(LoadRecord& load, int64_t now_ns);
  void finish(LoadRecord& load, model::Errc code, int64_t now_ns);
  void leave(LoadRecord& load);
  bool let_go();

  cache::Cache* cache_;
  const model::Clock* clock_;
  LoadMemory memory_;
  LoadReads reads_;
  LoadQueues queues_;
  std::unordered_map<uint64_t, std::unique_ptr<LoadRecord>> loads_;  // by tag
  LoadLooks looks_;
  std::array<LoadBacklog, model::kTierCount> backlogs_;  // of loads by where they begin
  LeavingLoads leaving_{&memory_, &queues_};
  std::vector<FinishedLoad> finished_;
  std::vector<uint64_t> advanced_;
};

}  // namespace quire::tiering
