// What a tier that others write to has of a chain, told to whoever asked and joined to nothing: no
// node, no pin, no load. For routers (server/control/locate_verb.h); what a match asks is
// Searches'.
//
//   ask --> under way --kFound--> answered()
//     \--leave: its answer is nobody's
//
// Its jobs have numbers of their own, which no question of Searches has. Threads: core only.
// Bounds: kMaxLooks, so that they take a part of the tier's questions only, and a user's share.
// Lifetime: cache and tiers outlive it.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "cache/tree/chain_view.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "model/result.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct LookCounters {
  model::Counter asked{"asked", "Questions of routers, what the tier has of a prompt"};
  model::Counter refused{"refused",
                         "Of these, those that could not be asked: too many, or it is off"};
};

class ChainLooks {
 public:
  static constexpr size_t kMaxLooks = 16;
  static constexpr size_t kMaxOfOneUser = 8;  // also those that it does not wait for any more

  // The tier's own, as units of the chain from the root on.
  struct Answer {
    uint64_t tag = 0;
    uint32_t span_units = 0;
    uint32_t checkpoint_units = 0;  // the deepest one's that was found; 0: none
    bool cut_short = false;         // there may be more
  };

  explicit ChainLooks(cache::Cache* cache) : cache_(cache) {}

  // Outlives the looks. Of tiers that can be searched there is one.
  void add_tier(Tier* tier) {
    if (tier->search() != nullptr) tier_ = tier;
  }
  // What of the chain is known on the tier is not asked for again. `tag`: the caller's, unique
  // among its own. kIoError: the tier cannot be asked now. kBusy: kMaxLooks, or as many as a user
  // may have, are under way.
  model::Result<void> ask(uint64_t tag, uint32_t uid, model::RootId root,
                          const cache::ChainView& chain);
  void leave(uint64_t tag);
  // The taker empties it.
  std::vector<Answer>& answered() { return answered_; }

  // False: the event is not about a look.
  bool take(const TierEvent& event);
  size_t under_way() const { return asked_.size(); }
  const LookCounters& counters() const { return counters_; }

 private:
  static constexpr uint32_t kFirstJob = 1u << 31;  // Searches count from 1
  struct Asked {
    uint64_t tag = 0;
    uint32_t uid = 0;
    bool wanted = true;
    uint32_t known_units = 0;  // on the tier
  };

  cache::Cache* cache_;
  Tier* tier_ = nullptr;
  std::unordered_map<uint32_t, Asked> asked_;  // by job
  uint32_t last_job_ = 0;
  std::vector<Answer> answered_;
  LookCounters counters_;
};

}  // namespace quire::tiering
