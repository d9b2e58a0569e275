// One life of a daemon, as Daemon and Core wire it, but for threads, sockets and sleep: cache,
// rings, sessions and a tier below RAM, on a manual clock: the SSD tier over a simulated disk, or a
// tier in memory that ends with the life; and in some runs a cluster beside it, in memory too,
// which lives on as other hosts' daemons see it. turn() is the turn of the real core
// (server/core_turn.h).
//
// Destroyed it is a crash: nothing is drained. stop() before makes it a clean end. The directory
// and the disk live on, for the next life.
// Threads: one; those beside the core step on it (HelperOptions::on_caller), but for the closer of
// sessions' memory, which nobody waits for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "allocator/pool.h"
#include "cache/cache.h"
#include "server/core_turn.h"
#include "server/sessions/session_queue.h"
#include "server/sessions/uid_shares.h"
#include "tests/sim/sim_copies.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_events.h"
#include "tests/sim/sim_world.h"
#include "tests/support/inspector.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_tier.h"
#include "tiering/ssd/ssd_tier.h"
#include "tiering/tier_set.h"

namespace rocksdb {
class Env;
}

namespace quire::tests {

inline constexpr uint32_t kSimFirstUid = 1001;
inline constexpr uint32_t kSimDeadlineMs = 2000;  // of requests that name none

// Drawn once a run: each life is configured alike.
struct SimConfig {
  // `late`: of what runs came to draw after seeds had been written down.
  SimConfig(SimRandom& random, SimRandom& late, SimRandom& clusters);

  bool has_tier = false;
  bool in_memory = false;     // the tier is a MemoryTier
  bool memory_fails = false;  // and it fails, forgets and damages what it keeps
  MemoryTierOptions memory;
  bool has_cluster = false;    // beside the tier
  bool cluster_fails = false;  // and it goes off, forgets and damages
  MemoryTierOptions cluster;
  uint32_t search_ms = 0;
  bool verify_hits = false;
  bool write_through = false;
  uint32_t segments = 0;
  uint64_t ssd_bytes = 0;
  std::string ram_policy;
  std::string ssd_policy;
  SimDiskFaults faults;
  // Objects may be lost that nobody gave up: the disk fails or lies.
  bool may_lose() const {
    return cluster_fails || (has_tier && (in_memory ? memory_fails : faults.any()));
  }
  // What is on the tier is there in the next life.
  bool is_durable() const { return has_tier && !in_memory; }
};

// A process of a client, at no other end of anything: what it is told waits for it in a list.
class SimProcess final : public server::ClientProcess {
 public:
  explicit SimProcess(uint32_t its_uid) : uid_(its_uid) {}
  uint32_t uid() const override { return uid_; }
  bool ended() const override { return has_ended; }
  void tell(model::FrameType type, std::string_view payload) override;

  bool has_ended = false;
  std::vector<uint32_t> retired;  // segments that it was asked to unmap
  std::vector<uint64_t> faulty;   // sessions that were ended for what stood in their rings
  uint32_t busy_staging = 0;      // bit i: area i, of kSimStagingAreas of area_bytes each
  uint64_t area_bytes = 0;

 private:
  uint32_t uid_;
};

struct SimParts {
  SimRandom* random = nullptr;
  ManualClock* clock = nullptr;
  SimDisk* disk = nullptr;
  const SimWorld* world = nullptr;
  const SimConfig* config = nullptr;
  rocksdb::Env* manifest_env = nullptr;
  server::TurnSink* turn_sink = nullptr;
  std::string ssd_path;
};

class SimCore {
 public:
  explicit SimCore(const SimParts& parts);
  ~SimCore();

  void turn();
  // A clean end: every client is let go, what is fresh goes to the disk. The clock moves.
  void stop();

  std::unique_ptr<SimProcess> connect(uint32_t domain);
  // Law 5: the process is gone; what it held follows in the turns to come.
  void disconnect(std::unique_ptr<SimProcess> process);
  struct Opened {
    server::Attachment* attachment = nullptr;  // null: refused
    std::array<uint8_t, 16> token{};           // for join()
    cache::TicketId ticket = 0;                // it is queued
    model::Errc code = model::Errc::kOk;       // of one that is refused
  };
  // What a session asks for when it is opened, and each time that it asks again.
  struct Asked {
    uint32_t root = 0;
    uint64_t conversation = 0;
    uint64_t reserve_bytes = 0;
    uint32_t wait_ms = 0;
    cache::TicketId ticket = 0;
  };
  Opened open(SimProcess& process, const server::LaneShape& shape, const Asked& asked);
  server::Attachment* join(SimProcess& process, const std::array<uint8_t, 16>& token,
                           const server::LaneShape& shape);
  void close(server::Attachment& attachment);

  cache::Cache& cache() { return *cache_; }
  allocator::Pool& pool() { return *pool_; }
  tiering::TierSet* tiers() { return tiers_.get(); }  // null: RAM only
  tiering::SsdTier* tier() { return tier_; }          // of tiers(); null: none, or in memory
  MemoryTier* memory_tier() { return memory_tier_; }  // null: none, or an SSD
  MemoryTier* cluster() { return cluster_; }          // null: none
  server::CoreTurn& core() { return *turn_; }
  server::SessionQueue& queue() { return *queue_; }
  const allocator::SegmentSupply& supply() const { return *supply_; }
  Inspector inspector() { return Inspector(*cache_); }
  model::RootId root(uint32_t root) const { return roots_[root].root; }
  model::DomainId domain(uint32_t domain) const { return domains_[domain]; }
  const SimConfig& config() const { return *parts_.config; }
  uint64_t turn_count() const { return turns_; }
  size_t process_count() const { return process_count_; }
  size_t dying_count() const { return dying_.size(); }
  size_t copies_in_flight() const { return copies_.in_flight() + checks_.in_flight(); }
  // In whichever tier.
  bool is_present(const SimKey& key);
  bool is_durable(const SimKey& key);
  bool is_in_ram(const SimKey& key);
  void check_invariants();
  SimEvents& events() { return *events_; }

 private:
  void open_tier();
  void open_cluster();
  std::unique_ptr<tiering::Tier> make_ssd_tier();
  void open_roots();
  void let_dying_go();
  server::Attachment* watched(model::Result<server::Attachment*> attached);

  SimParts parts_;
  uint64_t turns_ = 0;
  size_t process_count_ = 0;
  SimCopies copies_;
  SimCopies checks_;
  server::ClientCounters counters_;
  server::UidShares shares_;
  server::OffCoreCloser closer_;
  std::unique_ptr<allocator::SegmentSupply> supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  std::unique_ptr<tiering::TierSet> tiers_;
  tiering::SsdTier* tier_ = nullptr;
  MemoryTier* memory_tier_ = nullptr;
  MemoryTier* cluster_ = nullptr;
  std::vector<model::DomainId> domains_;
  std::vector<cache::CacheSession> roots_;  // one a root, so that none is given up
  std::unique_ptr<server::CoreTurn> turn_;
  std::unique_ptr<server::SessionQueue> queue_;
  std::unique_ptr<SimEvents> events_;
  std::vector<std::unique_ptr<SimProcess>> dying_;
};

}  // namespace quire::tests
