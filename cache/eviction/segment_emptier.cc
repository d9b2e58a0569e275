#include "cache/eviction/segment_emptier.h"

#include <algorithm>
#include <limits>

#include "cache/objects/object_store.h"

namespace quire::cache {

using allocator::PageState;
using allocator::Pool;
using allocator::SegmentView;
using model::DomainId;
using model::NodeId;
using model::SegmentId;
using model::SlotId;

namespace {

// Nodes looked at or evicted in one step: some 200 us.
constexpr uint32_t kNodesPerStep = 256;
// Segments of a donor that are weighed: their order by bytes in use is a good guess.
constexpr size_t kCandidates = 8;

}  // namespace

void SegmentEmptier::begin(DomainId donor) {
  donor_ = donor;
  phase_ = Phase::kWeighing;
  std::vector<SegmentView> views = store_->pool().segments(donor);
  const size_t count = std::min(kCandidates, views.size());
  std::partial_sort(views.begin(), views.begin() + static_cast<ptrdiff_t>(count), views.end(),
                    [](const SegmentView& a, const SegmentView& b) {
                      return a.used_bytes != b.used_bytes ? a.used_bytes < b.used_bytes
                                                          : a.id > b.id;
                    });
  candidates_.clear();
  for (size_t i = count; i > 0; --i) candidates_.push_back(views[i - 1].id);
  best_ = SegmentId{};
  best_cost_ = std::numeric_limits<size_t>::max();
  segment_ = SegmentId{};
}

std::optional<Pool::Retired> SegmentEmptier::step() {
  if (phase_ == Phase::kEmptying) return empty();
  weigh();
  return std::nullopt;
}

// The nodes with pages in the segment. False: one of them is being written.
bool SegmentEmptier::gather() {
  nodes_.clear();
  next_node_ = 0;
  open_.clear();
  seen_.clear();
  bool sealed = true;
  // Only neighbours are told apart: a node that is listed twice costs one look, in `seen` or
  // lies_here().
  const Pool& pool = store_->pool();
  pool.for_each_slot(segment_, [&](SlotId slot) {
    const allocator::PageEntry& page = pool.page(slot);
    if (page.state() != PageState::kSealed) {
      sealed = false;
    } else if (nodes_.empty() || nodes_.back().value + 1 != page.owner) {
      nodes_.push_back(NodeId{page.owner - 1});
    }
  });
  return sealed;
}

bool SegmentEmptier::next_candidate() {
  if (candidates_.empty()) return false;
  segment_ = candidates_.back();
  candidates_.pop_back();
  if (!gather()) segment_ = SegmentId{};  // not this one
  return true;
}

void SegmentEmptier::weigh() {
  if (!segment_.valid()) {
    // Nothing is cheaper than a segment that costs no object.
    if (best_cost_ == 0) return finish_weighing();
    if (!next_candidate()) finish_weighing();
    return;
  }
  for (uint32_t step = 0; step < kNodesPerStep; ++step) {
    const bool inside = !open_.empty();
    if (!inside && next_node_ == nodes_.size()) {
      best_ = segment_;
      best_cost_ = seen_.size();
      segment_ = SegmentId{};
      return;
    }
    const NodeId node = inside ? open_.back() : nodes_[next_node_++];
    if (inside) open_.pop_back();
    if (!inside && !seen_.insert(node.value).second) continue;
    // Pinned, or dearer than the best one so far: the rest of it need not be looked at.
    if (!weigh_node(node) || seen_.size() >= best_cost_) {
      segment_ = SegmentId{};
      return;
    }
  }
}

bool SegmentEmptier::stays_below(NodeId node) const {
  return store_->tree().node(node).has_copy_below(model::TierId::kRam);
}

// Whoever pins a node's presence does not care where it is; what has no copy is gone, though.
bool SegmentEmptier::may_go(NodeId id) const {
  const Node& node = store_->tree().node(id);
  return stays_below(id) ? !node.is_pinned(PinKind::kResidency) : !node.is_pinned();
}

// False: it may not go. What has no copy takes with it all that depends on it.
bool SegmentEmptier::weigh_node(NodeId node) {
  const PrefixTree& tree = store_->tree();
  if (!may_go(node)) return false;
  if (!tree.node(node).is_object() || stays_below(node)) return true;
  tree.children(node).for_each([&](NodeId child) {
    if (seen_.insert(child.value).second) open_.push_back(child);
  });
  return true;
}

void SegmentEmptier::finish_weighing() {
  if (!best_.valid()) {
    phase_ = Phase::kNone;
    return;
  }
  segment_ = best_;
  // Weighing took turns of the core: what lies there is listed anew, then nothing is put there any
  // more.
  if (!gather()) {
    phase_ = Phase::kNone;
    return;
  }
  store_->pool().set_aside(donor_, segment_, true);
  phase_ = Phase::kEmptying;
}

// Since it was gathered the node may have gone, and its id may be another's.
bool SegmentEmptier::lies_here(NodeId node) const {
  if (!store_->tree().node(node).is_object()) return false;
  const Presence& presence = store_->presence();
  for (SlotId slot = presence.first_page(node); slot.valid(); slot = presence.next_page(slot)) {
    if (store_->pool().place(slot).segment == segment_) return true;
  }
  return false;
}

std::optional<Pool::Retired> SegmentEmptier::empty() {
  uint32_t budget = kNodesPerStep;
  open_.clear();  // the tree may have changed since the last step
  while (next_node_ < nodes_.size()) {
    if (budget == 0) return std::nullopt;
    const NodeId node = nodes_[next_node_];
    if (!lies_here(node)) {
      ++next_node_;
      --budget;
      continue;
    }
    if (!empty_node(node, budget)) {
      give_up();
      return std::nullopt;
    }
  }
  std::optional<Pool::Retired> retired = store_->pool().retire(donor_, segment_);
  if (!retired) give_up();  // cannot be: nothing was put there since
  phase_ = Phase::kNone;
  return retired;
}

// Leaf first. False: something was pinned meanwhile.
bool SegmentEmptier::empty_node(NodeId node, uint32_t& budget) {
  const PrefixTree& tree = store_->tree();
  if (stays_below(node)) {
    if (!may_go(node)) return false;
    --budget;
    store_->leave_ram(node, {DepartureCause::kOtherUser});
    return true;
  }
  open_.assign(1, node);
  while (!open_.empty() && budget > 0) {
    const NodeId top = open_.back();
    if (!may_go(top)) return false;
    if (!tree.is_leaf(top)) {
      open_.push_back(tree.children(top).first());
      continue;
    }
    --budget;
    open_.pop_back();
    if (!store_->drop(top, {DepartureCause::kOtherUser})) return false;
  }
  return true;
}

// Pages may be put there again.
void SegmentEmptier::give_up() {
  store_->pool().set_aside(donor_, segment_, false);
  phase_ = Phase::kNone;
}

}  // namespace quire::cache
