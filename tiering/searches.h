// Questions to a tier that others write to, and what comes of them: what it holds of a prompt joins
// the tree (ObjectStore::join), and whoever asked is told.
//
//   ask --> under way --kFound--> joined, in steps --> answered()
//     \--same chain, same question--/       \--nobody waits any more: joined all the same
//
// 1. What was found is believed in two parts: the tier read each object's identity; that it is of
//    this chain, in order and without a gap, is compared here with the hashes that were asked for.
// 2. A root may die and its number be another's while a question is under way: it is found again by
//    its hash, and what was found for one that is gone joins nothing.
// 3. A question begins where the path stops being known on the tier, not where it stops being
// known:
//    what joins hangs on what may leave every faster tier, or it would hold RAM for a hint's sake.
// 4. What joins is a hint (Presence::kHintTier) and takes a place in the table of nodes only where
//    that has some, or can forget others (NodeRoom).
// 5. Where the tier said that the chain ends is not asked again for a moment (NowhereTable).
//
// Threads: core only. Bounds: kMaxChainQuestions, of which a domain has at most what it leaves
// free; a question keeps its chain, 32 bytes a unit; objects joined in one step. Lifetime: cache
// and tiers outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "cache/objects/pin.h"
#include "cache/tree/chain_view.h"
#include "model/clock.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "model/result.h"
#include "model/time_histogram.h"
#include "tiering/chain_search.h"
#include "tiering/nowhere_table.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct SearchCounters {
  model::Counter asked{"asked", "Questions to the tier, what it holds of a prompt"};
  model::Counter shared{"shared", "Matches that waited for a question which was under way"};
  model::Counter refused{"refused", "Questions that could not be asked: too many, or it is off"};
  model::Counter found{"found", "Questions that found something"};
  model::Counter found_tokens{"found_tokens", "Tokens of spans that were found and not known"};
  model::Counter no_room{"no_room", "Objects found for which the table of nodes had no place"};
  model::Counter remembered{"remembered", "Questions not asked, as the tier had just said no"};
  model::Counter late{"late", "Matches that were answered before their question was"};
  model::Counter round_trips{"round_trips", "Round trips that the questions took"};
};

// Whole blocks of the chain up to the deepest one that is known on the tier that is searched, of
// `known_units` that are known somewhere.
uint32_t known_on_hint_tier(cache::Cache& cache, model::RootId root, const cache::ChainView& chain,
                            uint32_t known_units);

class Searches {
 public:
  static constexpr uint32_t kJoinedPerStep = 256;  // objects: some 200 us

  struct Question {
    uint64_t tag = 0;  // the caller's, unique among those who wait; 0: nobody is to be told
    model::RootId root;
    cache::ChainView chain;    // lent for the call
    uint32_t known_units = 0;  // whole blocks, in the tree, on whichever tier
    bool is_news = false;      // it is there since a moment ago: what is remembered is not asked
  };

  Searches(cache::Cache* cache, const model::Clock* clock) : cache_(cache), clock_(clock) {}

  // Outlives the searches. Of tiers that can be searched there is one.
  void add_tier(Tier* tier) {
    if (tier->search() != nullptr) tier_ = tier;
  }
  bool can_ask() const { return tier_ != nullptr && may_read(tier_->mode()); }
  // kNotFound: the tier had nothing of it a moment ago. kResourceExhausted: too many are under way.
  // kIoError: the tier cannot be asked now.
  model::Result<void> ask(const Question& question);
  // Nobody waits any more. `late`: it was answered without. Unknown: nothing happens.
  void leave(uint64_t tag, bool late);
  // Tags of those whose questions are answered, and what was found joined.
  std::vector<uint64_t>& answered() { return answered_; }

  // A kFound event of the tier.
  void take(Tier& tier, const TierEvent& event);
  // True: something joined, or somebody is to be told.
  bool step();
  size_t under_way() const { return questions_.size(); }
  const SearchCounters& counters() const { return counters_; }
  void describe(const Tier& tier, model::MetricSink& sink) const;

 private:
  struct Waiter {
    uint64_t tag = 0;
    int64_t since_ns = 0;
  };
  struct Asked {
    model::RootId root;
    model::Hash256 root_hash;
    model::DomainId domain;
    uint32_t known_units = 0;
    std::vector<model::Hash256> chain;  // [i] = after i + 1 units
    std::vector<Waiter> waiters;
    FoundChain found;
    size_t joined = 0;       // of found.objects
    uint32_t end_units = 0;  // of the spans that joined
    cache::Pin end;          // the last of these: what is not joined yet hangs on it
  };

  Asked* find_same(const Question& question, uint32_t known_units);
  bool is_on_tier(model::NodeId node) const;
  model::Result<void> check_bounds(model::DomainId domain) const;
  void note_end(const Asked& asked);
  bool join_some(Asked& asked, uint32_t& budget);
  bool join_one(Asked& asked, const FoundObject& object);
  std::optional<model::NodeId> span_at(const Asked& asked, uint32_t units) const;
  void finish(uint32_t job);

  cache::Cache* cache_;
  const model::Clock* clock_;
  Tier* tier_ = nullptr;
  std::unordered_map<uint32_t, Asked> questions_;  // by job
  uint32_t last_job_ = 0;
  std::deque<uint32_t> joining_;  // jobs whose answer came
  std::vector<uint64_t> answered_;
  NowhereTable nowhere_;
  SearchCounters counters_;
  model::TimeHistogram waited_;  // of those who waited, answered in time or not
};

}  // namespace quire::tiering
