#include "server/rings/advisor.h"

#include <algorithm>

#include "model/boundary.h"

namespace quire::server {

using cache::NodeKind;
using model::Advice;
using model::NodeId;

namespace {

// What is paused is back so much before it is needed, and twice what loading it takes by itself:
// the device may be busy, and the core looks at the clock once a second when nothing happens.
constexpr int64_t kLeadNs = 2000 * model::kNsPerMs;

// No request has it: an index in PendingTable is smaller.
constexpr uint64_t kPrefetchTag = 0xFFFFFFFF;

std::optional<model::Hash256> key_of(const cache::PrefixTree& tree,
                                     const std::optional<NodeId>& node) {
  if (!node) return std::nullopt;
  return tree.key(*node);
}

}  // namespace

Advisor::Place Advisor::find(model::RootId root, const cache::ChainView& chain,
                             uint32_t end_units) const {
  const cache::PrefixTree& tree = cache_->store().tree();
  const uint32_t per_block = cache_->names().root(root).layout->units_per_block;
  const uint32_t span_units = model::block_floor_units(end_units, per_block);
  Place place;
  if (span_units > 0) place.span = tree.find(root, NodeKind::kSpan, chain.after(span_units));
  if (end_units > 0)
    place.checkpoint = tree.find(root, NodeKind::kCheckpoint, chain.after(end_units));
  return place;
}

void Advisor::take(cache::CacheSession& session, const cache::ChainView& chain,
                   const model::AdviseArgs& args) {
  const Place place = find(session.root, chain, args.end_units);
  switch (static_cast<Advice>(args.advice)) {
    case Advice::kPrefetch:
      use(place);
      prefetch(session.root, place);
      return;
    case Advice::kPauseUntil:
      pause(session, place, args);
      return;
    case Advice::kDoneWith:
      done_with(place);
      return;
  }
}

void Advisor::use(const Place& place) {
  if (place.span) cache_->board().used(*place.span);
  if (place.checkpoint) cache_->board().used(*place.checkpoint);
}

void Advisor::done_with(const Place& place) {
  if (place.span) cache_->board().done_with(*place.span);
  if (place.checkpoint) cache_->board().done_with(*place.checkpoint);
}

// The path up to a position and the checkpoint there, as far as they are below RAM only.
void Advisor::prefetch(model::RootId root, const Place& place) {
  const cache::ObjectStore& store = cache_->store();
  if (tiers_ == nullptr || store.presence().count_below_ram() == 0) return;
  std::vector<NodeId> missing;
  if (place.span) {
    const NodeId top = cache_->names().root(root).node;
    // What RAM lacks may lie anywhere above: an engine that holds a prefix commits only what is
    // behind it.
    for (NodeId node = *place.span; node != top; node = store.tree().parent(node)) {
      if (!store.tree().node(node).is_in_ram()) missing.push_back(node);
      cache_->store().work().add(1);
    }
    std::reverse(missing.begin(), missing.end());
  }
  if (place.checkpoint && !store.tree().node(*place.checkpoint).is_in_ram()) {
    missing.push_back(*place.checkpoint);
  }
  if (missing.empty()) return;
  // A full or failed tier is no error here.
  (void)tiers_->loads().start({.tag = ++prefetch_count_ << 32 | kPrefetchTag,
                               .load_class = model::LoadClass::kBatch,
                               .deadline_ns = clock_->now_ns() + deadline_ms_ * model::kNsPerMs,
                               .nodes = missing});
}

void Advisor::pause(cache::CacheSession& session, const Place& place,
                    const model::AdviseArgs& args) {
  if (!place.span && !place.checkpoint) return;
  cache::ObjectStore& store = cache_->store();
  // Its pin would hold the path in RAM; the next commit finds its parent by its key.
  session.let_tip_go();
  const int64_t now_ns = clock_->now_ns();
  // The checkpoint hangs below the span: its path is all there is.
  const NodeId end = place.checkpoint ? *place.checkpoint : *place.span;
  cache_->board().pause_path(end);
  if (tiers_ != nullptr) tiers_->demote_now(end, now_ns);
  if (tiers_ == nullptr) return;  // what RAM alone holds can only be evicted, or stay
  // The time is reckoned for all of the path: what stays in RAM by luck makes it early, which is no
  // loss.
  const cache::Root& root = cache_->names().root(session.root);
  const uint64_t blocks = args.end_units / root.layout->units_per_block;
  const cache::Presence& presence = cache_->store().presence();
  const bool on_ssd = presence.is_readable(cache::Presence::kPlacedTier);
  cache::TierBytes bytes;  // from the fastest tier that it can be on by then
  bytes[on_ssd ? cache::Presence::kPlacedTier : cache::Presence::kHintTier] =
      blocks * root.layout->span_plan.staging_bytes;
  const auto load_us = static_cast<int64_t>(tiers_->loads().estimate_us(bytes));
  remember({.root = session.root,
            .domain = root.key.domain,
            .span = key_of(store.tree(), place.span),
            .checkpoint = key_of(store.tree(), place.checkpoint),
            .due_ns = now_ns + args.pause_ms * model::kNsPerMs - kLeadNs - 2 * load_us * 1000});
}

// A later pause of the same position takes the earlier one's place.
void Advisor::remember(const Pause& pause) {
  const auto same = [&](const Pause& known) {
    return known.root == pause.root && known.span == pause.span &&
           known.checkpoint == pause.checkpoint;
  };
  std::erase_if(pauses_, same);
  const auto of_domain = std::count_if(pauses_.begin(), pauses_.end(), [&](const Pause& known) {
    return known.domain == pause.domain;
  });
  // Advice that finds no place is dropped: its pages come back when they are asked for.
  if (pauses_.size() >= kMaxPauses || static_cast<size_t>(of_domain) >= kMaxPausesOfDomain) return;
  next_due_ns_ = pauses_.empty() ? pause.due_ns : std::min(next_due_ns_, pause.due_ns);
  pauses_.push_back(pause);
}

void Advisor::step(int64_t now_ns) {
  if (pauses_.empty() || now_ns < next_due_ns_) return;
  // The walk over all pauses, paid only when one is due, finds the next time too.
  next_due_ns_ = INT64_MAX;
  // One a step: the rest are due still.
  bool brought = false;
  std::erase_if(pauses_, [&](const Pause& pause) {
    const bool due = pause.due_ns <= now_ns && !brought;
    if (due) {
      bring_back(pause);
      brought = true;
    } else {
      next_due_ns_ = std::min(next_due_ns_, pause.due_ns);
    }
    return due;
  });
}

// The root may be another one's by now: then its keys find nothing.
void Advisor::bring_back(const Pause& pause) {
  const cache::PrefixTree& tree = cache_->store().tree();
  Place place;
  if (pause.span) place.span = tree.find(pause.root, NodeKind::kSpan, *pause.span);
  if (pause.checkpoint) {
    place.checkpoint = tree.find(pause.root, NodeKind::kCheckpoint, *pause.checkpoint);
  }
  if (!place.span && !place.checkpoint) return;
  use(place);
  prefetch(pause.root, place);
}

}  // namespace quire::server
