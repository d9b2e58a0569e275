// EntryFacts of one tier, from the tree: what a policy may ask of the object behind an entry.
// Threads: core only.
#pragma once

#include <cstdint>
#include <optional>

#include "cache/eviction/policy.h"
#include "cache/objects/presence.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/ids.h"

namespace quire::cache {

// How node ids of a tier make entries.
struct EntryShape {
  model::TierId tier = model::TierId::kRam;
  uint32_t nodes = 1;  // adjacent ids in an entry

  EntryId entry_of(model::NodeId node) const { return EntryId{node.value / nodes}; }
};

class TreeFacts final : public EntryFacts {
 public:
  TreeFacts(const PrefixTree* tree, const Presence* presence, const NamespaceTable* names,
            EntryShape shape)
      : tree_(tree), presence_(presence), names_(names), shape_(shape) {}

  std::optional<EntryId> parent(EntryId entry) const override;
  uint64_t end_tokens(EntryId entry) const override;
  uint64_t bytes(EntryId entry) const override;
  uint64_t span_bytes(EntryId entry) const override;
  uint32_t fingerprint(EntryId entry) const override;
  uint32_t children(EntryId entry) const override;

  // Of the entry's nodes on the tier that `accept` takes the deepest; none: there is none.
  template <typename Accept>
  model::NodeId find_node(EntryId entry, Accept&& accept) const;
  model::NodeId any_node(EntryId entry) const {
    return find_node(entry, [](model::NodeId) { return true; });
  }
  const EntryShape& shape() const { return shape_; }
  const PrefixTree& tree() const { return *tree_; }
  const Root& root_of(model::NodeId node) const { return names_->root(tree_->node(node).root()); }

 private:
  model::NodeId first(EntryId entry) const;
  model::NodeId deepest(EntryId entry) const;

  const PrefixTree* tree_;
  const Presence* presence_;
  const NamespaceTable* names_;
  EntryShape shape_;
};

template <typename Accept>
model::NodeId TreeFacts::find_node(EntryId entry, Accept&& accept) const {
  model::NodeId best;
  for (uint32_t i = 0; i < shape_.nodes; ++i) {
    const model::NodeId id{entry.value * shape_.nodes + i};
    const Node& node = tree_->node(id);
    if (!node.is_object() || !node.is_in(shape_.tier) || !accept(id)) continue;
    if (!best.valid() || node.units() > tree_->node(best).units()) best = id;
  }
  return best;
}

}  // namespace quire::cache
