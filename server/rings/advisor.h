// What clients say about contexts they hold no lease of: prefetch, pause, done with. Advice may be
// ignored: what cannot be done now (no lower tier, a full table, content that is gone) is no error.
//
//   pause --> to a lower tier now, first to leave RAM --> until_ns - lead: back to RAM, as a
//   prefetch
//
// Threads: core only. Bounds: kMaxPauses in all, kMaxPausesOfDomain of one domain; each is let go
// when its time comes, whoever left meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "tiering/tier_set.h"

namespace quire::server {

class Advisor {
 public:
  static constexpr size_t kMaxPauses = 4096;
  static constexpr size_t kMaxPausesOfDomain = 1024;

  // `tiers` may be null.
  Advisor(cache::Cache* cache, tiering::TierSet* tiers, const model::Clock* clock,
          uint32_t deadline_ms)
      : cache_(cache), tiers_(tiers), clock_(clock), deadline_ms_(deadline_ms) {}

  // Precondition: args.advice is known, args.end_units within the chain.
  void take(cache::CacheSession& session, const cache::ChainView& chain,
            const model::AdviseArgs& args);
  // Brings back what was paused and is needed soon. A look at the clock, else.
  void step(int64_t now_ns);
  // Contexts that will be brought back at a time.
  size_t pause_count() const { return pauses_.size(); }

 private:
  // The span that a position needs and the checkpoint there; what is not present is absent.
  struct Place {
    std::optional<model::NodeId> span;
    std::optional<model::NodeId> checkpoint;
  };
  // Keys, since nodes may come and go until then, and ids are reused.
  struct Pause {
    model::RootId root;
    model::DomainId domain;
    std::optional<model::Hash256> span;
    std::optional<model::Hash256> checkpoint;
    int64_t due_ns = 0;
  };
  Place find(model::RootId root, const cache::ChainView& chain, uint32_t end_units) const;
  void use(const Place& place);
  void done_with(const Place& place);
  void prefetch(model::RootId root, const Place& place);
  void pause(cache::CacheSession& session, const Place& place, const model::AdviseArgs& args);
  void remember(const Pause& pause);
  void bring_back(const Pause& pause);

  cache::Cache* cache_;
  tiering::TierSet* tiers_;
  const model::Clock* clock_;
  const uint32_t deadline_ms_;
  std::vector<Pause> pauses_;
  uint64_t prefetch_count_ = 0;
  int64_t next_due_ns_ = 0;  // of the earliest; meaningless without any
};

}  // namespace quire::server
