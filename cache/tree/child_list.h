// The children of one node, read only. Spans that can be found stand first, checkpoints and hidden
// spans behind them; so the questions that a match asks take constant time.
#pragma once

#include <cstdint>

#include "allocator/flat_array.h"
#include "cache/tree/node.h"
#include "model/ids.h"

namespace quire::cache {

class ChildList {
 public:
  ChildList(const allocator::FlatArray<Node>& nodes, model::NodeId parent)
      : nodes_(nodes), parent_(nodes[parent.value]) {}

  // A checkpoint has no children: its word of the first child holds another thing.
  bool empty() const { return parent_.first_child_ == 0 || parent_.is_checkpoint(); }
  // Two or more spans that can be found: an earlier session diverged behind this node.
  bool is_branch() const;
  // A span that can be found is among them.
  bool has_span() const { return !empty() && is_visible_span(at(parent_.first_child_)); }
  // From the last to the first: none id when there are no (more).
  model::NodeId last() const;
  model::NodeId before(model::NodeId child) const;
  model::NodeId first() const { return empty() ? model::NodeId{} : decode(parent_.first_child_); }
  model::NodeId after(model::NodeId child) const {
    return decode(nodes_[child.value].next_sibling_);
  }
  // Calls visit(NodeId) for each; visit must not change the list.
  template <typename Visit>
  void for_each(Visit&& visit) const;
  // Checkpoints, from the end of the list, where they stand; each node looked at takes one of
  // `budget`. visit(NodeId) may remove the node it is given.
  template <typename Visit>
  void for_each_checkpoint(uint32_t& budget, Visit&& visit) const;

  static bool is_visible_span(const Node& node) { return node.is_span() && !node.is_quarantined(); }

 private:
  static model::NodeId decode(uint32_t plus_one) { return model::NodeId{plus_one - 1}; }
  const Node& at(uint32_t plus_one) const { return nodes_[plus_one - 1]; }

  const allocator::FlatArray<Node>& nodes_;
  const Node& parent_;
};

inline bool ChildList::is_branch() const {
  if (!has_span()) return false;
  const uint32_t second = at(parent_.first_child_).next_sibling_;
  return second != 0 && is_visible_span(at(second));
}

inline model::NodeId ChildList::last() const {
  return empty() ? model::NodeId{} : decode(at(parent_.first_child_).previous_sibling_);
}

inline model::NodeId ChildList::before(model::NodeId child) const {
  if (decode(parent_.first_child_) == child) return {};
  return decode(nodes_[child.value].previous_sibling_);
}

template <typename Visit>
void ChildList::for_each(Visit&& visit) const {
  for (model::NodeId child = first(); child.valid(); child = after(child)) visit(child);
}

template <typename Visit>
void ChildList::for_each_checkpoint(uint32_t& budget, Visit&& visit) const {
  for (model::NodeId child = last(); child.valid() && budget > 0; --budget) {
    const Node& node = nodes_[child.value];
    if (is_visible_span(node)) return;  // only such spans stand before it
    const model::NodeId current = child;
    child = before(child);
    if (node.is_checkpoint() && !node.is_quarantined()) visit(current);
  }
}

}  // namespace quire::cache
