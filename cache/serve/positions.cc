#include "cache/serve/positions.h"

#include <algorithm>
#include <optional>

namespace quire::cache {

using model::NodeId;
using model::ResumedHow;
using model::ResumePosition;
using model::TierId;

namespace {

// By tier, what is not below RAM being in it.
void set_tokens(model::TierTokens& tokens, const model::TierTokens& below, uint32_t all) {
  tokens = below;
  tokens[TierId::kRam] = all - below[TierId::kSsd] - below[TierId::kCluster];
}

}  // namespace

// One walk from the deepest span towards the root, writing what can be resumed on its way.
class PositionSearch::Lister {
 public:
  Lister(const PositionSearch& search, const PrefixMatch& match, const PositionsQuery& query,
         std::span<ResumePosition> out)
      : search_(search),
        tree_(search.store_.tree()),
        layout_(*search.root_.layout),
        match_(match),
        query_(query),
        out_(out),
        missing_(search.store_, search.root_, query.have_tokens),
        checkpoints_(search.store_.presence(), tree_, search.chain_, kMaxSteps) {}

  FoundPositions run() {
    FoundPositions found;
    NodeId node = match_.span_node;
    for (; tree_.node(node).units() > match_.reach_units; node = tree_.parent(node)) ++steps_;
    // Weighed whole first: what lies below a position is what is left of it there.
    left_ = search_.weigh(node, query_.have_tokens);
    const bool all = walk(node);
    found.result.count = static_cast<uint32_t>(count_);
    found.result.span_tokens = match_.span_units * layout_.layout.unit_tokens;
    found.result.exact_tokens = match_.exact_units * layout_.layout.unit_tokens;
    found.result.complete = all && !checkpoints_.is_spent() ? 1 : 0;
    found.steps = steps_ + left_.steps + checkpoints_.steps();
    return found;
  }

 private:
  // False: `out` was full.
  bool walk(NodeId node) {
    uint32_t reach = match_.reach_units;
    for (;; node = tree_.parent(node)) {
      ++steps_;
      const uint32_t units = tree_.node(node).units();
      if (!list_below(node, reach)) return false;
      if (node == search_.root_.node) return true;
      leave(node);
      // What lies at this span's end is below it, and listed; a probe would find it again.
      reach = units - 1;
    }
  }

  // What can be resumed between this span's end and the next one's.
  bool list_below(NodeId node, uint32_t reach) {
    const uint32_t units = tree_.node(node).units();
    if (!layout_.needs_checkpoint) return units == 0 || put(node, {}, ResumedHow::kExact);
    bool exact_at_end = units == 0;
    while (reach >= std::max(units, 1u)) {
      const NodeId checkpoint = checkpoints_.below(node, reach);
      if (!checkpoint.valid()) break;
      if (!put(node, checkpoint, ResumedHow::kExact)) return false;
      reach = tree_.node(checkpoint).units() - 1;
      exact_at_end = exact_at_end || reach < units;
    }
    const bool wanted = query_.every_block || node == match_.span_node;
    // With a checkpoint at this block's end nobody needs a replay to it.
    if (exact_at_end || layout_.replay_tokens == 0 || !wanted) return true;
    return put(node, {}, ResumedHow::kSpan);
  }

  bool put(NodeId span, NodeId checkpoint, ResumedHow how) {
    if (count_ == out_.size()) return false;
    const uint32_t unit_tokens = layout_.layout.unit_tokens;
    const uint32_t span_tokens = tree_.node(span).units() * unit_tokens;
    ResumePosition& position = out_[count_++];
    position = {};
    position.tokens = span_tokens;
    position.how = static_cast<uint8_t>(how);
    model::TierTokens below = left_.below_tokens;
    if (checkpoint.valid()) {
      position.tokens = tree_.node(checkpoint).units() * unit_tokens;
      // Behind the last block end: its tail pages are the checkpoint's.
      if (const auto tier = below_ram(checkpoint)) below[*tier] += position.tokens - span_tokens;
    }
    if (how == ResumedHow::kSpan) {
      position.replay_tokens = std::min(layout_.replay_tokens, span_tokens);
      position.replay_exact = layout_.replay_exact ? 1 : 0;
    }
    set_tokens(position.tier_tokens, below, position.tokens);
    const TierBytes bytes = left_.missing_bytes + missing_.of_checkpoint(checkpoint);
    position.load_estimate_us = clamp_us(search_.load_time_(bytes));
    return true;
  }

  void leave(NodeId node) {
    if (!search_.reads_below()) return;
    left_.missing_bytes -= missing_.of_span(node);
    if (const auto tier = below_ram(node)) {
      left_.below_tokens[*tier] -= layout_.layout.block_tokens;
    }
  }

  // The tier that would deliver it; nullopt: it is in RAM.
  std::optional<TierId> below_ram(NodeId node) const {
    const auto source = search_.store_.presence().source_of(node);
    return source == TierId::kRam ? std::nullopt : source;
  }

  const PositionSearch& search_;
  const PrefixTree& tree_;
  const KnownLayout& layout_;
  const PrefixMatch& match_;
  const PositionsQuery& query_;
  const std::span<ResumePosition> out_;
  const MissingBytes missing_;
  CheckpointSearch checkpoints_;
  Weight left_;  // of the path to the span that the walk is at
  size_t count_ = 0;
  uint32_t steps_ = 0;
};

PositionSearch::Weight PositionSearch::weigh(NodeId end, uint32_t have_tokens) const {
  if (!reads_below()) return {};
  const model::Layout& layout = root_.layout->layout;
  const BelowRam below =
      BelowSearch(store_, root_, chain_).count(end, have_tokens / layout.unit_tokens);
  return {.below_tokens = tokens_below(below, layout.block_tokens),
          .missing_bytes = MissingBytes(store_, root_, have_tokens)
                               .of_path(below, root_.layout->span_plan.page_bytes),
          .steps = below.steps};
}

FoundPositions PositionSearch::list(const PrefixMatch& match, const PositionsQuery& query,
                                    std::span<ResumePosition> out) const {
  return Lister(*this, match, query, out).run();
}

Located PositionSearch::locate(const PrefixMatch& match) const {
  const uint32_t unit_tokens = root_.layout->layout.unit_tokens;
  const MissingBytes missing(store_, root_, 0);
  const Weight weight = weigh(match.span_node, 0);
  Located located;
  located.steps = weight.steps;
  located.result.span_tokens = match.span_units * unit_tokens;
  located.result.exact_tokens = match.exact_units * unit_tokens;
  set_tokens(located.result.tokens, weight.below_tokens, located.result.span_tokens);
  const TierBytes bytes = weight.missing_bytes + missing.of_checkpoint(match.checkpoint_node);
  located.result.load_estimate_us = clamp_us(load_time_(bytes));
  return located;
}

}  // namespace quire::cache
