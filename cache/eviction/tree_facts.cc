#include "cache/eviction/tree_facts.h"

namespace quire::cache {

using model::NodeId;

// Objects of a run leave deepest first and come in order: the first one is there the longest.
NodeId TreeFacts::first(EntryId entry) const {
  for (uint32_t i = 0; i < shape_.nodes; ++i) {
    const NodeId id{entry.value * shape_.nodes + i};
    if (tree_->node(id).is_object()) return id;
  }
  return {};
}

NodeId TreeFacts::deepest(EntryId entry) const {
  const NodeId id = any_node(entry);
  return id.valid() ? id : first(entry);
}

std::optional<EntryId> TreeFacts::parent(EntryId entry) const {
  const NodeId id = first(entry);
  if (!id.valid()) return std::nullopt;
  const NodeId parent = tree_->parent(id);
  const Node& above = tree_->node(parent);
  // A parent that is not on this tier has no entry whose facts could be read.
  if (!above.is_object() || !above.is_in(shape_.tier)) return std::nullopt;
  const EntryId found = shape_.entry_of(parent);
  if (found == entry) return std::nullopt;
  return found;
}

uint64_t TreeFacts::end_tokens(EntryId entry) const {
  const NodeId id = deepest(entry);
  if (!id.valid()) return 0;
  return uint64_t{tree_->node(id).units()} * root_of(id).layout->layout.unit_tokens;
}

uint64_t TreeFacts::bytes(EntryId entry) const {
  const NodeId id = deepest(entry);
  return id.valid() ? presence_->plan_of(id).page_bytes : 0;
}

uint64_t TreeFacts::span_bytes(EntryId entry) const {
  const NodeId id = deepest(entry);
  return id.valid() ? root_of(id).layout->span_plan.page_bytes : 0;
}

uint32_t TreeFacts::children(EntryId entry) const {
  const NodeId id = deepest(entry);
  return id.valid() ? tree_->marks().children_in(id, shape_.tier) : 0;
}

uint32_t TreeFacts::fingerprint(EntryId entry) const {
  const NodeId id = first(entry);
  return id.valid() ? static_cast<uint32_t>(tree_->key(id).word(1)) : 0;
}

}  // namespace quire::cache
