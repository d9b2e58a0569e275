// The cache driven by random operations on one thread, judged against a plain map.
//
// The judge keeps, per key, what was committed (and with which bytes) and who pins it. Eviction
// chooses for itself, so after each operation the judge looks which keys went and checks that they
// were allowed to: unpinned, deepest first, whole. Every answer of match is recomputed from the
// map. One seed reproduces a run.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "allocator/pool.h"
#include "cache/cache.h"
#include "tests/support/inspector.h"

namespace quire::tests {

class CacheModel {
 public:
  explicit CacheModel(uint64_t seed);
  ~CacheModel();

  // One random operation, then all checks. False when a check failed; failure() says which.
  bool step();
  const std::string& failure() const { return failure_; }
  // Ends every actor; then all memory must be accounted for. False likewise.
  bool finish();

  // What was exercised, so that a test can see that nothing was starved.
  struct Coverage {
    uint64_t hits = 0;
    uint64_t loads = 0;
    uint64_t commits = 0;
    uint64_t duplicates = 0;
    uint64_t evicted = 0;
    uint64_t superseded = 0;
    uint64_t kills = 0;
    uint64_t no_memory = 0;
    uint64_t no_parent = 0;
  };
  const Coverage& coverage() const { return coverage_; }

 private:
  struct Key {
    model::FillKind kind;
    std::array<uint8_t, 32> hash;
    auto operator<=>(const Key&) const = default;
  };
  struct Object {
    uint32_t units = 0;
    Key parent{};  // span before it; unused at the root
    bool at_root = false;
    uint64_t bytes_key = 0;
    uint32_t pins = 0;
  };
  struct HeldLease {
    model::LeaseId id;
    std::vector<Key> pinned;
    uint32_t loads = 0;
    model::MatchResult match{};
  };
  struct Actor {  // a session with one attached process
    std::unique_ptr<cache::CacheSession> session;
    std::unique_ptr<cache::LeaseHolder> holder;
    std::vector<model::Hash256> chain;
    std::vector<HeldLease> leases;
    std::vector<Key> tip;  // zero or one
  };

  Inspector inspector() { return Inspector(*cache_); }
  uint32_t random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }
  Key key_at(const Actor& actor, model::FillKind kind, uint32_t units) const;
  void open_actor();
  void match(Actor& actor);
  void load(Actor& actor);
  void release(Actor& actor, size_t index);
  void commit(Actor& actor);
  void evict();
  void supersede(Actor& actor);
  void kill(size_t index);

  uint32_t expected_span_units(const Actor& actor, uint32_t prompt_tokens) const;
  uint32_t expected_exact_units(const Actor& actor, uint32_t prompt_tokens,
                                uint32_t span_units) const;
  model::Result<cache::Load> load_in_pieces(Actor& actor, const model::LoadArgs& args,
                                            std::span<model::PageDescriptor> pages);
  void leave_load_under_way(Actor& actor);
  void check_bytes(HeldLease& lease, Actor& actor);
  void set_tip(Actor& actor, const Key& key);
  void pin(const Key& key, int32_t change);
  bool fill_object(Actor& actor, model::FillId fill, uint64_t bytes_key, uint32_t units,
                   model::FillKind kind);
  void observe_removals(bool eviction_allowed);
  // No call costs more than its input, counted: `input` in units, pages and objects evicted.
  void start_cost() { steps_before_ = inspector().steps(); }
  void expect_cost(const std::string& call, uint64_t input);
  void fail(const std::string& what);

  std::mt19937_64 random_;
  std::unique_ptr<allocator::SegmentSupply> supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  model::DomainId domain_;
  model::LayoutId layout_id_;
  const cache::KnownLayout* layout_ = nullptr;
  std::vector<Actor> actors_;
  std::map<Key, Object> objects_;  // what is present
  uint64_t next_bytes_key_ = 1;
  uint64_t steps_before_ = 0;
  std::string failure_;
  Coverage coverage_;
};

}  // namespace quire::tests
