// All tiers below RAM, with what stands above each: one Demotion a tier, and the loads, which read
// from all of them. What the server sees of them; adding a tier is one call at start.
//
//   step:  given up copies --> each tier's step --> its events --> Demotion, Loads, Searches
//          fresh objects --> each Demotion's step --> Loads' and Searches' step --> each tier's
//          submit
//
// Keeps the cache told of what tiers can do and how long a load takes. Threads: core only. Nothing
// blocks. Lifetime: cache and clock outlive it; it owns the tiers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/chain_looks.h"
#include "tiering/demotion/demotion.h"
#include "tiering/demotion/under_way.h"
#include "tiering/loads.h"
#include "tiering/searches.h"
#include "tiering/tier.h"

namespace quire::tiering {

class TierSet {
 public:
  TierSet(cache::Cache* cache, const model::Clock* clock);
  TierSet(const TierSet&) = delete;
  TierSet& operator=(const TierSet&) = delete;
  ~TierSet();

  // Precondition: the cache was told of a tier with this id, and none was added for it.
  void add(std::unique_ptr<Tier> tier, const DemotionOptions& options);

  // One bounded step. True when something moved. `quiet`: no client waits for the core.
  bool step(bool quiet = false);
  // Nothing is under way or waiting to be made durable.
  bool idle() const;
  // Before a clean stop: what is fresh is demoted without delay.
  void hurry();
  // All that is in RAM only goes to every tier that takes writes, in the steps that follow. kBusy:
  // none takes any, or a flush is under way.
  model::Result<void> flush();
  void describe_flush(model::MetricSink& sink) const;
  // Every tier works, and all that they hold is served.
  bool is_whole() const;
  size_t queued() const;  // candidates for demotion, of all tiers

  Loads& loads() { return loads_; }
  const Loads& loads() const { return loads_; }
  Searches& searches() { return searches_; }
  const Searches& searches() const { return searches_; }
  ChainLooks& looks() { return looks_; }
  // One use of the conversation or prompt that starts with this span.
  void note_use(const model::Hash256& first_span);
  // Writes the object, and what of its path has no copy, soon, whatever the write policy.
  void demote_now(model::NodeId node, int64_t now_ns);
  // A segment is about to be unmapped: precondition, none of its slots is in use.
  void forget_segment(const std::byte* data);

  // Those that are there, fastest first.
  struct Member {
    std::unique_ptr<Tier> tier;
    std::unique_ptr<Demotion> demotion;
  };
  std::span<const Member> members() const { return members_; }
  // Of the first tier that needs some; null: none does.
  Upkeep* upkeep() const;
  // The largest object that some tier can hold.
  uint64_t largest_object_bytes() const;
  // A row of the list of tiers for each.
  void describe(model::MetricSink& sink) const;

 private:
  void step_tier(Member& member, bool quiet, int64_t now_ns);
  void route(Member& member, int64_t now_ns);
  void tell_cache(const Member& member);
  void describe(const Member& member, model::MetricSink& sink) const;

  cache::Cache* cache_;
  const model::Clock* clock_;
  UnderWay under_way_;  // outlives the members
  std::vector<Member> members_;
  Loads loads_;                   // goes before the tiers that it reads from
  Searches searches_;             // likewise
  ChainLooks looks_;              // likewise
  std::vector<TierEvent> taken_;  // scratch of route()
  bool worked_ = false;           // in this step
};

}  // namespace quire::tiering
