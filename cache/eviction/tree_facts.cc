// What a policy may ask of the object behind an entry.
#include "cache/eviction/eviction_board.h"

namespace quire::cache {

using model::NodeId;

// Objects of a run leave deepest first and come in order: the first one is there the longest.
NodeId EvictionBoard::Facts::first(EntryId entry) const {
  const uint32_t count = tier_->order.by_run ? kRunNodes : 1;
  for (uint32_t i = 0; i < count; ++i) {
    const NodeId id{entry.value * count + i};
    if (board_->tree_->node(id).is_object()) return id;
  }
  return {};
}

NodeId EvictionBoard::Facts::deepest(EntryId entry) const {
  const NodeId id = board_->find_node(*tier_, entry, [](NodeId) { return true; });
  return id.valid() ? id : first(entry);
}

std::optional<EntryId> EvictionBoard::Facts::parent(EntryId entry) const {
  const NodeId id = first(entry);
  if (!id.valid()) return std::nullopt;
  const NodeId parent = board_->tree_->parent(id);
  const Node& above = board_->tree_->node(parent);
  // A parent that is not on this tier has no entry whose facts could be read.
  if (!above.is_object() || !above.is_in(tier_->order.tier)) return std::nullopt;
  const EntryId found = entry_of(*tier_, parent);
  if (found == entry) return std::nullopt;
  return found;
}

uint64_t EvictionBoard::Facts::end_tokens(EntryId entry) const {
  const NodeId id = deepest(entry);
  if (!id.valid()) return 0;
  const Node& node = board_->tree_->node(id);
  const KnownLayout& known = *board_->names_->root(node.root()).layout;
  return uint64_t{node.units()} * known.layout.unit_tokens;
}

uint64_t EvictionBoard::Facts::bytes(EntryId entry) const {
  const NodeId id = deepest(entry);
  return id.valid() ? board_->presence_->plan_of(id).page_bytes : 0;
}

uint64_t EvictionBoard::Facts::span_bytes(EntryId entry) const {
  const NodeId id = deepest(entry);
  if (!id.valid()) return 0;
  return board_->names_->root(board_->tree_->node(id).root()).layout->span_plan.page_bytes;
}

uint32_t EvictionBoard::Facts::fingerprint(EntryId entry) const {
  const NodeId id = first(entry);
  return id.valid() ? static_cast<uint32_t>(board_->tree_->key(id).word(1)) : 0;
}

}  // namespace quire::cache
