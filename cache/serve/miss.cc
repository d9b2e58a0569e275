#include "cache/serve/miss.h"

#include <algorithm>
#include <array>

#include "cache/fill/fill_claims.h"
#include "model/boundary.h"

namespace quire::cache {

using model::Hash256;
using model::MatchLimit;
using model::NodeId;
using model::RootId;

namespace {

// Children of one span, and dead roots, that are looked at: this is asked within a match.
constexpr uint32_t kLookedAtForAMiss = 64;

class MissFinder {
 public:
  MissFinder(const MissParts& parts, const CacheSession& session, const ChainView& chain,
             uint32_t prompt_tokens, const model::MatchResult& result)
      : parts_(parts),
        session_(session),
        chain_(chain),
        result_(result),
        root_(parts.names->root(session.root)),
        tree_(parts.store->tree()),
        departures_(parts.store->departures()),
        unit_tokens_(root_.layout->layout.unit_tokens),
        per_block_(root_.layout->units_per_block),
        last_units_(model::last_resume_point(root_.layout->layout, prompt_tokens) / unit_tokens_),
        exact_units_(result.exact_tokens / unit_tokens_),
        span_units_(result.span_tokens / unit_tokens_) {}

  Miss find() {
    switch (static_cast<MatchLimit>(result_.limit)) {
      case MatchLimit::kNoSpan:
        find_span();
        break;
      case MatchLimit::kNoCheckpoint:
        find_checkpoint();
        break;
      case MatchLimit::kEndOfPrompt:
      case MatchLimit::kGroup:
      case MatchLimit::kDeadline:
        find_behind_all();
        break;
    }
    return miss_;
  }

 private:
  uint64_t print_of(NodeKind kind, const Hash256& key) const {
    return departures_->print_of(root_.hash, kind, key);
  }

  // Spans were found as far as the prompt has whole ones.
  void find_behind_all() {
    if (exact_units_ > 0) {
      miss_.reason = MissReason::kNothing;
    } else if (last_units_ == 0) {
      miss_.reason = MissReason::kTooShort;
    } else {
      // A prompt below a block, which a checkpoint in it could resume.
      find_checkpoint();
      miss_.to_units = last_units_;
    }
  }

  // The block behind the spans.
  void find_span() {
    miss_.from_units = span_units_;
    miss_.to_units = span_units_ + per_block_;
    if (miss_.to_units > chain_.count()) {
      miss_.reason = MissReason::kNoHashes;
      return;
    }
    const Hash256 key = chain_.after(miss_.to_units);
    const auto node = tree_.find(session_.root, NodeKind::kSpan, key);
    if (node && tree_.node(*node).units() == miss_.to_units) {
      miss_.reason = MissReason::kUnreachable;
      if (departures_ != nullptr) miss_.left = departures_->find(print_of(NodeKind::kSpan, key));
      return;
    }
    if (is_being_written(key) || has_left(key)) return;
    miss_.reason = diverges() ? MissReason::kDiverged : MissReason::kNeverStored;
  }

  bool is_being_written(const Hash256& key) {
    if (parts_.fills->count() == 0) return false;
    const FillPlace place{.key = key, .kind = model::FillKind::kSpan, .end_units = miss_.to_units};
    const Fill* fill = parts_.fills->find(session_, place);
    if (fill == nullptr) fill = parts_.fills->find_foreign(session_, place);
    if (fill == nullptr) return false;
    const bool in_part = fill->state == FillState::kOpen && fill->pages_missing > 0 &&
                         fill->pages_missing < fill->slots.count();
    miss_.reason = in_part ? MissReason::kIncomplete : MissReason::kBeingWritten;
    if (in_part) miss_.groups = unwritten_groups(*fill, root_.layout->span_plan.pages);
    return true;
  }

  bool has_left(const Hash256& key) {
    if (left_with_its_root(key)) return true;
    if (departures_ == nullptr) return false;
    const uint64_t print = print_of(NodeKind::kSpan, key);
    const LastDeparture left = departures_->find(print);
    if (!left.known() || !left.gone) {
      miss_.forgotten_s = departures_->forgotten_s(print);
      return false;
    }
    miss_.reason = MissReason::kLeft;
    miss_.left = left;
    miss_.left_units = miss_.to_units;
    return true;
  }

  // A root that was given up and opened again has the same hash, and what it held goes in steps.
  bool left_with_its_root(const Hash256& key) {
    uint32_t looked_at = 0;
    for (const RootId id : parts_.names->dead_roots()) {
      if (++looked_at > kLookedAtForAMiss) break;
      const Root& dead = parts_.names->root(id);
      if (!dead.given_up || !(dead.hash == root_.hash)) continue;
      if (!tree_.find(id, NodeKind::kSpan, key)) continue;
      miss_.reason = MissReason::kLeft;
      miss_.left.cause = DepartureCause::kRootGivenUp;
      miss_.left.gone = true;
      miss_.left.at_s = departures_ == nullptr ? 1 : departures_->now_s();
      miss_.left_units = miss_.to_units;
      return true;
    }
    return false;
  }

  // At the root that says nothing: other prompts begin otherwise.
  bool diverges() {
    if (span_units_ == 0) return false;
    const auto parent = tree_.find(session_.root, NodeKind::kSpan, chain_.after(span_units_));
    if (!parent || !tree_.children(*parent).has_span()) return false;
    // Only a checkpoint within the block can say that they agree beyond its begin.
    miss_.agreed_units = span_units_;
    uint32_t budget = kLookedAtForAMiss;
    tree_.children(*parent).for_each_checkpoint(budget, [this](NodeId id) {
      const uint32_t units = tree_.node(id).units();
      if (units <= miss_.agreed_units || units >= miss_.to_units) return;
      if (tree_.key(id) == chain_.after(units)) miss_.agreed_units = units;
    });
    return true;
  }

  // One is there, on a tier that cannot be read now.
  bool finds_unreachable(uint32_t top) {
    const Presence& presence = parts_.store->presence();
    if (!presence.has_unreachable()) return false;
    const uint32_t lowest = std::max(exact_units_, top - std::min(top, kLookedForCheckpoints));
    for (uint32_t units = top; units > lowest; --units) {
      const auto node = tree_.find(session_.root, NodeKind::kCheckpoint, chain_.after(units));
      if (!node || tree_.node(*node).units() != units || presence.is_reachable(*node)) continue;
      miss_.reason = MissReason::kUnreachable;
      miss_.to_units = units;
      return true;
    }
    return false;
  }

  void find_checkpoint() {
    miss_.reason = MissReason::kNoCheckpoint;
    miss_.from_units = exact_units_;
    miss_.to_units = result_.limit_tokens / unit_tokens_;
    // One may have stood in the block behind the spans, too.
    const uint32_t top = std::min({last_units_, span_units_ + per_block_ - 1, chain_.count()});
    if (finds_unreachable(top) || departures_ == nullptr) return;
    std::array<uint64_t, kLookedForCheckpoints> prints{};
    uint32_t count = 0;
    for (uint32_t units = top; units > exact_units_ && count < prints.size(); --units) {
      prints[count] = print_of(NodeKind::kCheckpoint, chain_.after(units));
      departures_->prefetch(prints[count]);  // all misses of the processor's cache at once
      ++count;
    }
    for (uint32_t i = 0; i < count; ++i) {
      miss_.forgotten_s = std::max(miss_.forgotten_s, departures_->forgotten_s(prints[i]));
      const LastDeparture left = departures_->find(prints[i]);
      if (!left.known() || !left.gone) continue;
      miss_.left = left;
      miss_.left_units = top - i;
      return;
    }
  }

  const MissParts& parts_;
  const CacheSession& session_;
  const ChainView& chain_;
  const model::MatchResult& result_;
  const Root& root_;
  const PrefixTree& tree_;
  const DepartureLog* departures_;
  const uint32_t unit_tokens_;
  const uint32_t per_block_;
  const uint32_t last_units_;
  const uint32_t exact_units_;
  const uint32_t span_units_;
  Miss miss_;
};

}  // namespace

Miss find_miss(const MissParts& parts, const CacheSession& session, const ChainView& chain,
               uint32_t prompt_tokens, const model::MatchResult& result) {
  return MissFinder(parts, session, chain, prompt_tokens, result).find();
}

}  // namespace quire::cache
