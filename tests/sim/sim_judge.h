// The plain map that judges a simulated run: what each root may hold, as its clients were told.
//
// An object is in the map from the first time that its bytes were offered. `present` is what the
// judge knows: a commit said so, or the cache showed it. Eviction chooses for itself, so the judge
// looks which objects went, and checks that they might: not pinned by a lease or a session's tip,
// whole, deepest first. A run whose disk damages bytes may lose pinned objects to quarantine (law 4
// is stronger than law 3), never show wrong ones. Lifetime: the run; cores come and go under it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/sim/sim_core.h"
#include "tests/sim/sim_world.h"

namespace quire::tests {

// What was exercised, so that a test can see that nothing was starved.
struct SimCoverage {
  uint64_t hits = 0;
  uint64_t loads = 0;
  uint64_t pages = 0;    // compared whole
  uint64_t heads = 0;    // loads that delivered a part
  uint64_t commits = 0;  // became visible
  uint64_t duplicates = 0;
  uint64_t joint = 0;  // became visible by the last of several processes
  uint64_t no_parent = 0;
  uint64_t no_memory = 0;
  uint64_t expired = 0;  // requests whose deadline came first
  uint64_t superseded = 0;
  uint64_t vanished = 0;   // objects evicted, superseded or quarantined
  uint64_t deaths = 0;     // processes that went in the middle
  uint64_t scribbles = 0;  // sessions ended for what stood in their rings
  uint64_t crashes = 0;
  uint64_t stops = 0;
  uint64_t restored = 0;      // objects that a later life had
  uint64_t from_ssd = 0;      // tokens announced that were below RAM
  uint64_t from_cluster = 0;  // likewise, and on the cluster only
  uint64_t found = 0;         // tokens that a search found there
  uint64_t retired = 0;       // segments that clients gave back
  uint64_t faults = 0;        // of the disk
  uint64_t queued = 0;        // times that a session had to wait for what it reserves
  uint64_t admitted = 0;      // sessions that reserved
  void add(const SimCoverage& other);
};

class SimJudge {
 public:
  SimJudge(const SimWorld* world, const SimConfig* config) : world_(world), config_(config) {}

  // The first failure; empty: none.
  const std::string& failure() const { return failure_; }
  void fail(const std::string& what);
  // The disk never lied, so nothing may be lost.
  bool is_strict() const { return !config_->may_lose(); }
  SimCoverage& coverage() { return coverage_; }

  void begin_life(SimCore& core);
  // Before a crash, or after a stop: what must be there in the next life.
  void end_life();

  // Where an object of a chain stands, and below which.
  struct Place {
    SimKey key;
    uint32_t units = 0;
    std::optional<SimKey> parent;
  };
  Place place(uint32_t root, const SimChain& chain, model::FillKind kind, uint32_t units) const;

  // A fill was granted; its bytes will have this version.
  void granted(const Place& place, uint32_t version);
  // A commit of it was answered in this turn: it is in the index, and its bytes are somebody's who
  // may write here (law 13).
  void became_visible(const Place& place, bool duplicate);
  void pin(const SimKey& key);
  void unpin(const SimKey& key);

  // Law 2 and 3, of a match that was sent at `sent_turn`.
  void judge_match(uint32_t root, const SimChain& chain, const model::MatchArgs& args,
                   const model::MatchResult& result, uint64_t sent_turn);
  // Law 1, 4 and 13: one page that a client of `domain` was pointed to. Which version it is of;
  // nullopt: it failed.
  struct Wanted {
    SimKey key;
    uint16_t group = 0;
    bool tail = false;
    bool checkpoint = false;
  };
  std::optional<SimPageHead> judge_page(model::DomainId domain, const model::PageDescriptor& page,
                                        const Wanted& wanted);
  // A page that was delivered before and is still leased: its bytes are what they were.
  void judge_held(model::DomainId domain, const model::PageDescriptor& page,
                  const SimPageHead& head);

  // Law 13: what is told to be here was written below this root.
  void judge_known(uint32_t root, const SimChain& chain, uint32_t tokens);
  // Present after this turn, now, and all the time in between; false where that is not known.
  bool was_there_since(const SimKey& key, uint64_t turn);

  // Looks which objects went.
  void observe();

 private:
  struct Object {
    uint32_t units = 0;
    std::optional<SimKey> parent;
    std::vector<uint32_t> versions;  // that its bytes may have
    uint32_t pins = 0;
    bool present = false;
    uint64_t present_since = 0;  // turn; 0: not known
    uint64_t granted_turn = 0;   // of the last fill
    bool was_durable = false;    // when the last life ended, with its whole path
  };

  Object& object_of(const Place& place);
  std::optional<std::span<std::byte>> bytes_of(model::DomainId domain,
                                               const model::PageDescriptor& page);
  void expect_present(const SimKey& key, const std::string& why);
  void vanish(const SimKey& key, Object& object);
  bool is_path_durable(const SimKey& key);
  void restore(const SimKey& key, Object& object);

  const SimWorld* world_;
  const SimConfig* config_;
  SimCore* core_ = nullptr;
  std::unordered_map<SimKey, Object, HashOfSimKey> objects_;
  std::string failure_;
  SimCoverage coverage_;
};

}  // namespace quire::tests
