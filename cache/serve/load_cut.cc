#include "cache/serve/load_cut.h"

#include <algorithm>
#include <limits>

#include "cache/objects/checkpoint_search.h"

namespace quire::cache {

using model::NodeId;

uint32_t clamp_us(uint64_t us) {
  return static_cast<uint32_t>(std::min<uint64_t>(us, std::numeric_limits<uint32_t>::max()));
}

model::TierTokens tokens_below(const BelowRam& below, uint32_t block_tokens) {
  model::TierTokens tokens{};
  tokens[Presence::kPlacedTier] = (below.blocks - below.hint_blocks) * block_tokens;
  tokens[Presence::kHintTier] = below.hint_blocks * block_tokens;
  return tokens;
}

MissingBytes::MissingBytes(const ObjectStore& store, const Root& root, uint32_t have_tokens)
    : store_(store),
      root_node_(root.node),
      have_units_(have_tokens / root.layout->layout.unit_tokens) {}

TierBytes MissingBytes::of_span(NodeId node) const {
  if (node == root_node_ || store_.tree().node(node).units() <= have_units_) return {};
  return of(node);
}

TierBytes MissingBytes::of_checkpoint(NodeId node) const {
  return node.valid() ? of(node) : TierBytes();
}

TierBytes MissingBytes::of_path(const BelowRam& below, uint64_t span_bytes) const {
  TierBytes bytes;
  bytes[Presence::kPlacedTier] = (below.wanted_blocks - below.wanted_hint_blocks) * span_bytes;
  bytes[Presence::kHintTier] = below.wanted_hint_blocks * span_bytes;
  return bytes;
}

TierBytes MissingBytes::of(NodeId node) const {
  TierBytes bytes;
  const auto source = store_.presence().source_of(node);
  if (!source || *source == model::TierId::kRam) return bytes;
  bytes[*source] = store_.presence().plan_of(node).page_bytes;
  return bytes;
}

double prefill_us(const PrefillCost& cost, uint32_t from, uint32_t to) {
  // The integral of a cost that grows linearly with the position, as attention does.
  const double first = from;
  const double last = to;
  return (cost.us_per_ktoken * (last - first) +
          cost.us_per_ktoken_per_mtoken * (last * last - first * first) / 2e6) /
         1e3;
}

HitTiers weigh_hit(const ObjectStore& store, const Root& root, const PrefixMatch& match,
                   const ChainView& chain, uint32_t prompt_tokens, uint32_t have_tokens,
                   const PrefillCost& cost, const LoadTime& load_time) {
  const MissingBytes missing(store, root, have_tokens);
  CheckpointSearch checkpoints(store.presence(), store.tree(), chain);
  const PrefixTree& tree = store.tree();
  const uint32_t unit_tokens = root.layout->layout.unit_tokens;
  HitTiers tiers;
  tiers.cut_tokens = match.exact_units * unit_tokens;
  const BelowRam below =
      BelowSearch(store, root, chain).count(match.exact_node, have_tokens / unit_tokens);
  tiers.steps = below.steps;
  tiers.below_tokens = tokens_below(below, root.layout->layout.block_tokens);
  TierBytes span_bytes = missing.of_path(below, root.layout->span_plan.page_bytes);
  tiers.below_bytes = span_bytes + missing.of_checkpoint(match.checkpoint_node);
  tiers.load_us = clamp_us(load_time(tiers.below_bytes));
  // Where nothing has to be loaded the deepest position wins: every other one only computes more.
  if (!cost.known() || tiers.below_bytes.sum() == 0) return tiers;

  double best = tiers.load_us + prefill_us(cost, tiers.cut_tokens, prompt_tokens);
  const auto consider = [&](uint32_t tokens, const TierBytes& bytes) {
    const double total =
        static_cast<double>(load_time(bytes)) + prefill_us(cost, tokens, prompt_tokens);
    if (total >= best) return;
    best = total;
    tiers.cut_tokens = tokens;
  };
  uint32_t last_units = match.exact_units;
  for (NodeId node = match.exact_node;; node = tree.parent(node)) {
    const uint32_t units = tree.node(node).units();
    ++tiers.steps;
    // Nothing has to be loaded for it: what lies before it only leaves more to compute.
    bool is_free = false;
    if (!root.layout->needs_checkpoint) {
      consider(units * unit_tokens, span_bytes);
      is_free = span_bytes.sum() == 0;
    } else if (const NodeId found = checkpoints.below(node, last_units); found.valid()) {
      const TierBytes bytes = span_bytes + missing.of_checkpoint(found);
      consider(tree.node(found).units() * unit_tokens, bytes);
      is_free = bytes.sum() == 0;
    }
    if (is_free || node == root.node) break;
    // BelowSearch counted all missing spans at once; going up takes each off again. Both look at
    // what the engine holds in whole blocks.
    span_bytes -= missing.of_span(node);
    last_units = units;
  }
  consider(0, {});
  tiers.steps += checkpoints.steps();
  return tiers;
}

}  // namespace quire::cache
