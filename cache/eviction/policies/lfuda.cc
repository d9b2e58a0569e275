// LFU with dynamic aging: LFU-DA (Arlitt, Cherkasova, Dilley, Friedrich, Jin: Evaluating content
// management techniques for Web proxy caches, 1999), for a tree of which only leaves may go.
//
// Rank = uses + L, where L is the rank of what went last: so what was popular once grows old
// against what is used now. Among equal ranks the one that was used longest ago goes.
#include <algorithm>
#include <memory>
#include <utility>

#include "cache/eviction/keyed_policy.h"

namespace quire::cache {
namespace {

class LfuDa final : public KeyedPolicy {
 public:
  LfuDa(const PolicyParts& parts, CandidateHeap heap) : KeyedPolicy(parts, std::move(heap)) {}

  void gone(EntryId entry) override {
    if (is_candidate(entry) && UseClock::is_use(parts_.entries->last_use(entry))) {
      const bool was_next = choose() == entry;
      if (was_next) age_.rise_to(rank(entry));
    }
    KeyedPolicy::gone(entry);
  }

  // As old as the use was: else a path that nobody uses any more would be young at each step.
  void handed_up(EntryId parent, EntryId child, uint64_t) override {
    parts_.entries->set_mark(parent, parts_.entries->mark(child));
    rank_anew(parent);
  }

 private:
  void touched(EntryId entry) override { parts_.entries->set_mark(entry, age_.mark()); }
  uint64_t rank(EntryId entry) const {
    return age_.at(parts_.entries->mark(entry)) + parts_.entries->uses(entry) + 1;
  }
  uint64_t used_key(EntryId entry) const override {
    return ranked(rank(entry), parts_.entries->last_use(entry));
  }

  Inflation age_;
};

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_lfuda(const PolicyParts& parts) {
  CandidateHeap heap = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(std::make_unique<LfuDa>(parts, std::move(heap)));
}

}  // namespace quire::cache
