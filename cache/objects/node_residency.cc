// NodeStore's part for nodes that live on the SSD, in RAM, or both.
//
// A node in both keeps the place of its copy in the link of its last page, behind kLastPageTag: an
// SSD copy costs no memory beyond the node itself.
#include "cache/objects/node_store.h"

#include <algorithm>

namespace quire::cache {

using allocator::kLastPageTag;
using allocator::PageEntry;
using allocator::PageState;
using model::NodeId;
using model::SlotId;

namespace {

// What thin_path leaves at the end of a path, and takes from it at a time: the walk is then paid
// for.
constexpr uint32_t kKeptEnd = 16;
constexpr uint32_t kThinnedAtOnce = 256;

}  // namespace

void NodeStore::note_fresh(const FreshNode& fresh) {
  if (fresh_.size() < kMaxFresh) {
    fresh_.push_back(fresh);
  } else {
    ++counters_.fresh_missed;
  }
}

SlotId NodeStore::first_page(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  return link.resident ? SlotId{link.first_page - 1} : SlotId{};
}

SlotId NodeStore::next_page(SlotId slot) const {
  const uint32_t next = pool_->page(slot).next;
  return (next & kLastPageTag) != 0 ? SlotId{} : SlotId{next - 1};
}

// `last`: what the link of the last page holds; 0, or kLastPageTag and the place of the copy.
void NodeStore::link_pages(NodeId node, std::span<const SlotId> slots, uint32_t last) {
  uint32_t next = last;
  for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) {
    PageEntry& page = pool_->page(*slot);
    page.owner = node.value + 1;
    page.next = next;
    page.set_state(PageState::kSealed);
    next = slot->value + 1;
  }
  tree_->link(node).first_page = next;
  tree_->link(node).resident = 1;
  count_residency(node, +1);
}

void NodeStore::count_residency(NodeId node, int64_t change) {
  const NodeLink& link = tree_->link(node);
  count_pages(node, change);
  (kind_of(link) == NodeKind::kSpan ? counters_.resident_spans : counters_.resident_checkpoints) +=
      static_cast<uint64_t>(change);
  const NodeId parent = tree_->parent(node);
  if (change > 0) {
    add_resident_child(parent);
  } else {
    remove_resident_child(parent);
  }
}

void NodeStore::add_resident_child(NodeId parent) {
  NodeLink& link = tree_->link(parent);
  if (link.resident_children < kManyChildren - 1) {
    link.resident_children = (link.resident_children + 1) & kManyChildren;
    return;
  }
  uint32_t& many = many_children_[parent.value];
  many = link.resident_children < kManyChildren ? kManyChildren : many + 1;
  link.resident_children = kManyChildren;
}

void NodeStore::remove_resident_child(NodeId parent) {
  NodeLink& link = tree_->link(parent);
  QUIRE_CHECK(link.resident_children > 0);
  if (link.resident_children < kManyChildren) {
    link.resident_children = (link.resident_children - 1) & kManyChildren;
    return;
  }
  const auto many = many_children_.find(parent.value);
  QUIRE_CHECK(many != many_children_.end() && many->second >= kManyChildren);
  if (--many->second >= kManyChildren) return;
  many_children_.erase(many);
  link.resident_children = kManyChildren - 1;
}

void NodeStore::add_ssd_child(NodeId parent) {
  NodeLink& link = tree_->link(parent);
  if (link.ssd_child) ++many_copies_.try_emplace(parent.value, 1).first->second;
  link.ssd_child = 1;
}

void NodeStore::remove_ssd_child(NodeId parent) {
  NodeLink& link = tree_->link(parent);
  QUIRE_CHECK(link.ssd_child);
  const auto many = many_copies_.find(parent.value);
  if (many == many_copies_.end()) {
    link.ssd_child = 0;
  } else if (--many->second == 1) {
    many_copies_.erase(many);
  }
}

uint64_t NodeStore::nonresident_count() const {
  return counters_.spans + counters_.checkpoints - counters_.resident_spans -
         counters_.resident_checkpoints;
}

// Precondition: resident.
allocator::PageEntry& NodeStore::last_page(NodeId node) const {
  SlotId slot = first_page(node);
  for (SlotId next = next_page(slot); next.valid(); next = next_page(slot)) slot = next;
  return pool_->page(slot);
}

std::optional<SsdPlace> NodeStore::ssd_place(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  if (!link.on_ssd) return std::nullopt;
  const uint32_t place = link.resident ? last_page(node).next & ~kLastPageTag : link.first_page;
  return SsdPlace{.slot = place - 1, .generation = link.ssd_generation};
}

std::optional<NodeId> NodeStore::add_on_ssd(NodeId parent, NodeKind kind, const model::Hash256& key,
                                            uint32_t units, SsdPlace place) {
  QUIRE_CHECK(has_ssd());
  const auto node = tree_->add(parent, kind, key, units);
  if (!node) return std::nullopt;
  NodeLink& link = tree_->link(*node);
  link.first_page = place.slot + 1;
  link.ssd_generation = place.generation;
  link.on_ssd = 1;
  const bool span = kind == NodeKind::kSpan;
  ++(span ? counters_.spans : counters_.checkpoints);
  ++(span ? counters_.ssd_spans : counters_.ssd_checkpoints);
  if (!span) tree_->link(parent).has_checkpoints = 1;
  add_ssd_child(parent);
  return node;
}

void NodeStore::offer_restored() {
  for (uint32_t i = 0; i < tree_->end_of_nodes(); ++i) {
    if (is_object(kind_of(tree_->link(NodeId{i})))) offer(NodeId{i});
  }
}

void NodeStore::set_on_ssd(NodeId node, SsdPlace place) {
  NodeLink& link = tree_->link(node);
  QUIRE_CHECK(link.resident && !link.on_ssd && place.slot + 1 < kLastPageTag / 2);
  last_page(node).next = kLastPageTag | (place.slot + 1);
  link.on_ssd = 1;
  link.ssd_generation = place.generation;
  ++(kind_of(link) == NodeKind::kSpan ? counters_.ssd_spans : counters_.ssd_checkpoints);
  add_ssd_child(tree_->parent(node));
  offer(node);
}

// The slot of the copy goes to the tier; the caller sees to the node.
void NodeStore::release_ssd(NodeId node) {
  NodeLink& link = tree_->link(node);
  const NodeKind kind = kind_of(link);
  ssd_releases_.push_back(
      {.slot = ssd_place(node)->slot,
       .root = model::RootId{link.root},
       .units = link.units,
       .unit_step = names_->root(model::RootId{link.root}).layout->units_per_block,
       .kind = kind});
  link.on_ssd = 0;
  --(kind == NodeKind::kSpan ? counters_.ssd_spans : counters_.ssd_checkpoints);
  remove_ssd_child(tree_->parent(node));
}

void NodeStore::forget_ssd(NodeId node) {
  QUIRE_CHECK(is_resident(node) && tree_->link(node).on_ssd);
  release_ssd(node);
  last_page(node).next = 0;
  offer(tree_->parent(node));
}

void NodeStore::make_resident(NodeId node, std::span<const SlotId> slots) {
  const NodeLink& link = tree_->link(node);
  QUIRE_CHECK(link.on_ssd && !link.resident && !slots.empty());
  link_pages(node, slots, kLastPageTag | link.first_page);
  ++counters_.promoted;
  policy_of(node).on_use(node);
  offer(node);
}

bool NodeStore::may_leave_ram(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  return is_object(kind_of(link)) && link.resident && link.pins == 0 &&
         (kind_of(link) == NodeKind::kCheckpoint || link.resident_children == 0) &&
         (link.on_ssd || tree_->is_leaf(node));
}

// Copies go deepest first, so that what the SSD holds stays prefix-closed; and what is nowhere else
// is present for as long as something depends on it.
bool NodeStore::may_leave_ssd(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  if (!is_object(kind_of(link)) || !link.on_ssd || link.pins > 0) return false;
  return !link.ssd_child && (link.resident || tree_->is_leaf(node));
}

bool NodeStore::leave_ram(NodeId node) {
  if (!tree_->link(node).on_ssd || !may_leave_ram(node)) return false;
  give_up_pages(node);
  return true;
}

void NodeStore::give_up_pages(NodeId node) {
  NodeLink& link = tree_->link(node);
  const SsdPlace place = *ssd_place(node);
  free_pages(node);
  count_residency(node, -1);
  link.resident = 0;
  link.first_page = place.slot + 1;
  const NodeId parent = tree_->parent(node);
  EvictionPolicy& policy = policy_of(node);
  if (kind_of(tree_->link(parent)) == NodeKind::kSpan) policy.on_child_removed(parent, node);
  policy.on_removed(node);
  link.in_policy = 0;
  ++counters_.left_ram;
  offer(parent);
}

uint32_t NodeStore::thin_path(NodeId tip) {
  if (!has_ssd() || !tip.valid()) return 0;
  uint32_t kept = 0;
  uint32_t gone = 0;
  for (NodeId node = tip; is_object(kind_of(tree_->link(node))) && gone < kThinnedAtOnce;
       node = tree_->parent(node)) {
    const NodeLink& link = tree_->link(node);
    if (kept++ < kKeptEnd || !link.resident || !link.on_ssd || link.pins > 0) continue;
    give_up_pages(node);
    ++gone;
  }
  return gone;
}

NodeId NodeStore::take_ram_victim(model::DomainId domain) {
  EvictionPolicy& policy = *policies_[domain.value];
  while (const auto victim = policy.take_victim()) {
    tree_->link(*victim).in_policy = 0;
    if (may_leave_ram(*victim)) return *victim;
  }
  return {};
}

bool NodeStore::evict_one_from_ssd() {
  while (const auto victim = ssd_policy_->take_victim()) {
    NodeLink& link = tree_->link(*victim);
    // Ids are reused: the policy may know one from an earlier life.
    if (!is_object(kind_of(link)) || !link.in_ssd_policy) continue;
    link.in_ssd_policy = 0;
    if (!may_leave_ssd(*victim)) continue;
    ++counters_.ssd_evicted;
    if (link.resident) {
      forget_ssd(*victim);
      return true;
    }
    return drop(*victim, DropReason::kEvicted);
  }
  return false;
}

void NodeStore::check_residency(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  QUIRE_CHECK(link.resident || link.on_ssd);
  for (SlotId slot = first_page(node); slot.valid(); slot = next_page(slot)) {
    QUIRE_CHECK(pool_->page(slot).owner == node.value + 1);
    QUIRE_CHECK(pool_->page(slot).state() == PageState::kSealed);
  }
  QUIRE_CHECK(link.in_policy || !may_leave_ram(node));
  QUIRE_CHECK(link.in_ssd_policy || !may_leave_ssd(node));
  if (kind_of(link) == NodeKind::kCheckpoint) return;
  uint32_t children = 0;
  uint32_t copies = 0;
  tree_->for_each_child(node, [&](NodeId child) {
    children += tree_->link(child).resident;
    copies += tree_->link(child).on_ssd;
  });
  QUIRE_CHECK(link.ssd_child == std::min(copies, 1u));
  QUIRE_CHECK(copies < 2 || many_copies_.at(node.value) == copies);
  QUIRE_CHECK(link.resident_children == std::min(children, kManyChildren));
  const auto many = many_children_.find(node.value);
  QUIRE_CHECK(children < kManyChildren ? many == many_children_.end() : many->second == children);
}

}  // namespace quire::cache
