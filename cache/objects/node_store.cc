#include "cache/objects/node_store.h"

#include <algorithm>

namespace quire::cache {

using allocator::PageEntry;
using allocator::PageState;
using allocator::Pool;
using model::DomainId;
using model::NodeId;
using model::SlotId;

namespace {

// One call evicts at most this much, some 300 us; who needs more asks again next turn.
constexpr uint32_t kMaxEvictionsPerAllocation = 256;
constexpr uint32_t kPausedAtOnce = 1024;  // a quarter of a million tokens in blocks of 256

}  // namespace

NodeStore::NodeStore(std::unique_ptr<PrefixTree> tree, Pool* pool, NamespaceTable* names,
                     PolicyFactory policy_factory)
    : tree_(std::move(tree)),
      pool_(pool),
      names_(names),
      policy_factory_(std::move(policy_factory)) {}

model::Result<void> NodeStore::add_domain(DomainId domain) {
  if (policies_.size() <= domain.value) policies_.resize(domain.value + 1);
  if (policies_[domain.value] == nullptr) policies_[domain.value] = QUIRE_TRY(policy_factory_());
  return {};
}

DomainId NodeStore::domain_of(NodeId node) const {
  return names_->root(model::RootId{tree_->link(node).root}).key.domain;
}

EvictionPolicy& NodeStore::policy_of(NodeId node) { return *policies_[domain_of(node).value]; }

bool NodeStore::may_drop(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  return is_object(kind_of(link)) && link.pins == 0 && tree_->is_leaf(node);
}

void NodeStore::offer(NodeId node) {
  ++offers_;
  NodeLink& link = tree_->link(node);
  if (!link.in_policy && may_leave_ram(node)) {
    link.in_policy = 1;
    policy_of(node).on_evictable(node);
  }
  if (!link.in_ssd_policy && may_leave_ssd(node)) {
    link.in_ssd_policy = 1;
    ssd_policy_->on_evictable(node);
  }
}

void NodeStore::unpin(NodeId node) {
  NodeLink& link = tree_->link(node);
  QUIRE_CHECK(link.pins > 0);
  if (--link.pins > 0) return;
  if (!names_->dead_roots().empty() && names_->root(model::RootId{link.root}).dead) {
    dead_changed_ = true;
  }
  if (link.quarantined && may_drop(node)) {
    drop(node, DropReason::kQuarantined);
  } else if (link.superseded && may_drop(node)) {
    drop(node, DropReason::kSuperseded);
  } else {
    offer(node);
  }
}

void NodeStore::use(NodeId node) {
  if (kind_of(tree_->link(node)) == NodeKind::kRoot) return;
  policy_of(node).on_use(node);
  if (ssd_policy_ != nullptr) ssd_policy_->on_use(node);
}

void NodeStore::done_with(NodeId node) {
  if (kind_of(tree_->link(node)) == NodeKind::kRoot) return;
  policy_of(node).on_done_with(node);
  if (ssd_policy_ != nullptr) ssd_policy_->on_done_with(node);
}

void NodeStore::pause(NodeId end) {
  uint32_t paused = 0;
  for (NodeId node = end; is_object(kind_of(tree_->link(node))) && paused < kPausedAtOnce;
       node = tree_->parent(node), ++paused) {
    policy_of(node).on_done_with(node);
  }
}

std::optional<NodeId> NodeStore::add(NodeId parent, NodeKind kind, const model::Hash256& key,
                                     uint32_t units, std::span<const SlotId> slots, bool batch) {
  const auto node = tree_->add(parent, kind, key, units);
  if (!node) return std::nullopt;
  link_pages(*node, slots, 0);
  ++(kind == NodeKind::kSpan ? counters_.spans : counters_.checkpoints);
  if (kind == NodeKind::kCheckpoint) tree_->link(parent).has_checkpoints = 1;
  use(*node);
  offer(*node);
  if (has_ssd()) note_fresh({*node, batch});
  return node;
}

void NodeStore::free_pages(NodeId node) {
  SlotId slot = first_page(node);
  while (slot.valid()) {
    const SlotId next = next_page(slot);
    work_.add(1);
    pool_->free(slot);
    slot = next;
  }
}

const model::PagePlan& NodeStore::plan_of(NodeId node) const {
  const NodeLink& link = tree_->link(node);
  return names_->root(model::RootId{link.root}).layout->plan(fill_kind(kind_of(link)), link.units);
}

void NodeStore::count_pages(NodeId node, int64_t change) {
  const NodeLink& link = tree_->link(node);
  const Root& root = names_->root(model::RootId{link.root});
  if (pages_by_layout_.size() <= root.key.layout.value) {
    pages_by_layout_.resize(root.key.layout.value + 1);
  }
  for (const model::PlannedPage& page : plan_of(node).pages) {
    pages_by_layout_[root.key.layout.value][page.group] += static_cast<uint64_t>(change);
  }
}

uint64_t NodeStore::resident_pages(model::LayoutId layout, model::GroupIndex group) const {
  return layout.value < pages_by_layout_.size() ? pages_by_layout_[layout.value][group] : 0;
}

void NodeStore::count_drop(NodeKind kind, DropReason reason) {
  const bool span = kind == NodeKind::kSpan;
  --(span ? counters_.spans : counters_.checkpoints);
  switch (reason) {
    case DropReason::kEvicted:
      ++(span ? counters_.evicted_spans : counters_.evicted_checkpoints);
      break;
    case DropReason::kSuperseded:
      ++counters_.superseded_checkpoints;
      break;
    case DropReason::kQuarantined:
      break;  // counted when it was found
    case DropReason::kStale:
      ++counters_.stale_dropped;
      break;
  }
}

bool NodeStore::drop(NodeId node, DropReason reason) {
  // A quarantined parent goes with its last dependant, and so on up the path.
  for (;;) {
    if (!may_drop(node)) return false;
    work_.add(1);
    const NodeId parent = tree_->parent(node);
    const model::RootId root{tree_->link(node).root};
    count_drop(kind_of(tree_->link(node)), reason);
    // Before its pages go: the last of them knows where the copy lies.
    if (tree_->link(node).on_ssd) release_ssd(node);
    if (is_resident(node)) {
      free_pages(node);
      count_residency(node, -1);
    }
    const bool parent_counts = kind_of(tree_->link(parent)) == NodeKind::kSpan;
    forget_in_policies(node, parent_counts ? parent : NodeId{});
    forget_in_sweep(node);
    tree_->remove(node);
    if (!parent_counts) {
      maybe_forget_root(root);
      return true;
    }
    if (!tree_->link(parent).quarantined || !may_drop(parent)) {
      offer(parent);
      return true;
    }
    node = parent;
    reason = DropReason::kQuarantined;
  }
}

void NodeStore::forget_in_policies(NodeId node, NodeId parent) {
  EvictionPolicy& policy = policy_of(node);
  if (parent.valid()) policy.on_child_removed(parent, node);
  policy.on_removed(node);
  if (ssd_policy_ == nullptr) return;
  if (parent.valid()) ssd_policy_->on_child_removed(parent, node);
  ssd_policy_->on_removed(node);
}

void NodeStore::supersede(NodeId checkpoint) {
  tree_->link(checkpoint).superseded = 1;
  drop(checkpoint, DropReason::kSuperseded);
}

void NodeStore::quarantine(NodeId top) {
  // Hide the whole subtree first, deepest last; then let go what nobody holds, deepest first.
  std::vector<NodeId> subtree{top};
  for (size_t i = 0; i < subtree.size(); ++i) {
    if (!tree_->link(subtree[i]).quarantined) {
      tree_->hide(subtree[i]);
      ++counters_.quarantined;
    }
    tree_->for_each_child(subtree[i], [&](NodeId child) { subtree.push_back(child); });
    work_.add(1);
  }
  for (auto node = subtree.rbegin(); node != subtree.rend(); ++node) {
    const NodeLink& link = tree_->link(*node);
    const bool still_there = link.quarantined && kind_of(link) != NodeKind::kFree;
    if (still_there && may_drop(*node)) drop(*node, DropReason::kQuarantined);
  }
}

bool NodeStore::evict_one(DomainId domain) {
  const NodeId victim = take_ram_victim(domain);
  return victim.valid() && (leave_ram(victim) || drop(victim, DropReason::kEvicted));
}

uint64_t NodeStore::evict(uint64_t count) {
  uint64_t evicted = 0;
  for (uint16_t d = 0; d < policies_.size(); ++d) {
    if (policies_[d] == nullptr) continue;
    while ((count == 0 || evicted < count) && evict_one(DomainId{d})) ++evicted;
  }
  return evicted;
}

// What comes for another domain is not waited for.
Pool::Growth NodeStore::grow(DomainId domain) {
  const uint64_t held = pool_->usage(domain).segment_bytes;
  taker_.settle();
  if (pool_->usage(domain).segment_bytes > held) return Pool::Growth::kGrew;
  if (taker_.is_spoken_for(domain)) return Pool::Growth::kExhausted;
  const Pool::Growth growth = pool_->grow(domain);
  if (growth == Pool::Growth::kGrew) taker_.note_grown(domain);  // it came since settle() looked
  return growth;
}

NodeStore::Room NodeStore::allocate(allocator::ClassId size_class, DomainId domain, SlotId after,
                                    SlotId& slot) {
  for (uint32_t evicted = 0;; ++evicted) {
    if (const auto found = pool_->allocate(size_class, after)) {
      slot = *found;
      return Room::kHave;
    }
    const Pool::Growth growth = grow(domain);
    if (growth == Pool::Growth::kGrew) continue;
    if (growth == Pool::Growth::kPending || evicted == kMaxEvictionsPerAllocation) {
      return Room::kPending;
    }
    if (!evict_one(domain)) return taker_.ask(domain) ? Room::kPending : Room::kNone;
  }
}

// A node that the sweep stands at goes: the sweep goes on with its parent, whose other children
// have another sweep.
void NodeStore::forget_in_sweep(NodeId node) {
  const NodeLink& link = tree_->link(node);
  if (!names_->dead_roots().empty() && names_->root(model::RootId{link.root}).dead) {
    dead_changed_ = true;
  }
  if (node != dead_at_) return;
  dead_at_ = kind_of(link) == NodeKind::kRoot ? NodeId{} : tree_->parent(node);
  dead_leaving_ = true;
}

// The first node of the next dead root; false when all have been swept and nothing changed.
bool NodeStore::next_dead_sweep() {
  const std::vector<model::RootId>& dead = names_->dead_roots();
  if (dead_next_ >= dead.size()) {
    if (!dead_changed_ && dead.size() == dead_known_) return false;
    dead_changed_ = false;
    dead_known_ = dead.size();
    dead_next_ = 0;
  }
  dead_at_ = names_->root(dead[dead_next_++]).node;
  dead_leaving_ = false;
  return true;
}

// One node: down to its first child, or to its neighbour, or up.
void NodeStore::sweep_dead_node() {
  work_.add(1);
  const NodeId node = dead_at_;
  const NodeLink link = tree_->link(node);
  if (!dead_leaving_ && !tree_->is_leaf(node)) {
    dead_at_ = PrefixTree::decode(link.first_child);
    return;
  }
  if (kind_of(link) == NodeKind::kRoot) {
    dead_at_ = NodeId{};
    // It may be forgotten, and then another one stands at its place.
    const size_t before = names_->dead_roots().size();
    maybe_forget_root(model::RootId{link.root});
    dead_next_ -= before - names_->dead_roots().size();
    return;
  }
  dead_leaving_ = link.next_sibling == 0;
  dead_at_ = dead_leaving_ ? tree_->parent(node) : PrefixTree::decode(link.next_sibling);
  drop(node, DropReason::kStale);
}

bool NodeStore::reclaim_dead(uint32_t budget) {
  const uint64_t end = work_.steps() + budget;
  while (work_.steps() < end && !names_->dead_roots().empty()) {
    if (dead_at_.valid()) {
      sweep_dead_node();
    } else if (!next_dead_sweep()) {
      return false;
    }
  }
  return !names_->dead_roots().empty();
}

void NodeStore::maybe_forget_root(model::RootId root) {
  Root& record = names_->root(root);
  if (record.session_count > 0 || !tree_->is_leaf(record.node)) return;
  forget_in_sweep(record.node);
  tree_->remove(record.node);
  names_->forget(root);
}

uint64_t NodeStore::table_bytes() const {
  uint64_t bytes = tree_->resident_bytes() + pool_->table_bytes();
  for (const auto& policy : policies_) {
    if (policy != nullptr) bytes += policy->resident_bytes();
  }
  if (ssd_policy_ != nullptr) bytes += ssd_policy_->resident_bytes();
  return bytes;
}

void NodeStore::check_invariants() const {
  tree_->check_invariants();
  pool_->check_invariants();
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  for (uint32_t i = 0; i < tree_->end_of_nodes(); ++i) {
    const NodeLink& link = tree_->link(NodeId{i});
    const NodeKind kind = kind_of(link);
    spans += kind == NodeKind::kSpan;
    checkpoints += kind == NodeKind::kCheckpoint;
    if (!is_object(kind)) continue;
    check_residency(NodeId{i});
  }
  QUIRE_CHECK(spans == counters_.spans && checkpoints == counters_.checkpoints);
}

}  // namespace quire::cache
