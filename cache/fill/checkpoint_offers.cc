#include "cache/fill/checkpoint_offers.h"

#include "cache/objects/checkpoint_search.h"
#include "model/boundary.h"

namespace quire::cache {

using model::NodeId;

namespace {

// Half a million tokens of blocks of 256; what lies further back is not near.
constexpr uint32_t kSpansLookedAt = 2048;

}  // namespace

bool CheckpointOffers::is_wanted(const CacheSession& session, const ChainView& chain,
                                 uint32_t end_units) const {
  const uint32_t apart = session.offer_units;
  if (apart == 0) return false;
  // What the session writes just now is not in the tree yet. One that was given up counts too,
  // which costs one offer.
  const uint32_t last = session.last_checkpoint_units;
  if (last > 0 && last <= end_units && end_units - last < apart) return false;
  const uint32_t above_units = end_units > apart ? end_units - apart : 0;
  return !has_one_behind(session, chain, above_units, end_units);
}

// At a position in (above_units, end_units].
bool CheckpointOffers::has_one_behind(const CacheSession& session, const ChainView& chain,
                                      uint32_t above_units, uint32_t end_units) const {
  const PrefixTree& tree = store_->tree();
  const Root& root = names_->root(session.root);
  const uint32_t per_block = root.layout->units_per_block;
  CheckpointSearch search(store_->presence(), tree, chain.first(end_units));
  NodeId span;  // of the path; none until the deepest that is present was met
  uint32_t looked_at = 0;
  bool found = false;
  // A checkpoint hangs below the last span that ends at or before it.
  for (uint32_t units = model::block_floor_units(end_units, per_block);; units -= per_block) {
    ++looked_at;
    if (span.valid()) {
      span = tree.parent(span);
    } else if (units == 0) {
      span = root.node;
    } else if (const auto known = tree.find(session.root, NodeKind::kSpan, chain.after(units))) {
      span = *known;
    }
    const NodeId checkpoint = span.valid() ? search.below(span, end_units) : NodeId{};
    found = checkpoint.valid() && tree.node(checkpoint).units() > above_units;
    const bool over = units <= above_units || looked_at == kSpansLookedAt || search.is_spent();
    if (found || over) break;
  }
  store_->work().add(looked_at + search.steps());
  return found;
}

}  // namespace quire::cache
