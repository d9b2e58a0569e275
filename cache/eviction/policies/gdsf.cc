// GreedyDual-Size with frequency: GDSF (Cherkasova: Improving WWW proxies performance with
// GreedyDual-Size-Frequency caching policy, HPL-98-69, 1998), for a tree of which only leaves may
// go.
//
// Rank = L + uses * cost / bytes, where L is the rank of what went last. The cost is that of
// computing the tokens again: the same for each token but for attention, which grows with the
// position; a span far into a conversation is dearer than one at its start. Spans of one layout
// have one size, so bytes enter as the share of a span's bytes that the object has (checkpoints).
#include <algorithm>
#include <memory>
#include <utility>

#include "cache/eviction/keyed_policy.h"

namespace quire::cache {
namespace {

// Attention costs as much as all else from about this position on, in models of today.
constexpr uint64_t kTokensOfEqualCost = 32768;
constexpr uint64_t kUnit = 4;  // a rank's steps for the cost at position 0
constexpr uint64_t kMostWorth = 1 << 16;

class Gdsf final : public KeyedPolicy {
 public:
  Gdsf(const PolicyParts& parts, CandidateHeap heap) : KeyedPolicy(parts, std::move(heap)) {}

  void gone(EntryId entry) override {
    if (is_candidate(entry) && UseClock::is_use(parts_.entries->last_use(entry))) {
      if (choose() == entry) age_.rise_to(rank(entry));
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
    const EntryFacts& facts = *parts_.facts;
    const uint64_t cost = kUnit + kUnit * facts.end_tokens(entry) / kTokensOfEqualCost;
    const uint64_t times = parts_.entries->uses(entry) + uint64_t{1};
    const uint64_t worth =
        times * cost * facts.span_bytes(entry) / std::max<uint64_t>(1, facts.bytes(entry));
    return age_.at(parts_.entries->mark(entry)) + std::min(worth, kMostWorth);
  }
  uint64_t used_key(EntryId entry) const override {
    return ranked(rank(entry), parts_.entries->last_use(entry));
  }

  Inflation age_;
};

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_gdsf(const PolicyParts& parts) {
  CandidateHeap heap = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(std::make_unique<Gdsf>(parts, std::move(heap)));
}

}  // namespace quire::cache
