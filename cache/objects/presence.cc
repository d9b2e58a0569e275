#include "cache/objects/presence.h"

#include <algorithm>
#include <map>

#include "model/check.h"

namespace quire::cache {

using allocator::kLastPageTag;
using allocator::PageEntry;
using allocator::PageState;
using model::NodeId;
using model::SlotId;
using model::TierId;

// What check_invariants() counts anew.
struct Presence::Tally {
  std::array<TierCounts, model::kTierCount> counts{};
  std::map<std::pair<uint32_t, size_t>, uint64_t> bytes;  // by tenant and tier
  // By root and depth, of each tier that keeps them.
  std::array<std::map<std::pair<uint32_t, uint32_t>, uint64_t>, model::kTierCount - 1> holes;
  std::array<uint64_t, model::kTierCount> fastest{};
  uint64_t quarantined_bytes = 0;
};

// Walks the pages of one object. This walk is what a copy costs instead of four bytes in every
// node.
PageEntry& Presence::last_page(NodeId node) const {
  SlotId slot = first_page(node);
  for (SlotId next = next_page(slot); next.valid(); next = next_page(slot)) slot = next;
  return pool_->page(slot);
}

const model::PagePlan& Presence::plan_of(NodeId id) const {
  const Node& node = tree_->node(id);
  return names_->root(node.root()).layout->plan(fill_kind(node.kind()), node.units());
}

void Presence::set_pages(NodeId node, std::span<const SlotId> slots) {
  QUIRE_CHECK(!tree_->node(node).is_in_ram() && !slots.empty());
  // Read first: outside RAM the copy's place stands in the field that the first page takes over.
  const std::optional<CopyPlace> copy = place(node);
  uint32_t next = copy ? kLastPageTag | (copy->slot + 1) : 0;
  // From the last page on, so that each page can name the one behind it; the last one names the
  // copy.
  for (auto slot = slots.rbegin(); slot != slots.rend(); ++slot) {
    PageEntry& page = pool_->page(*slot);
    page.owner = node.value + 1;
    page.next = next;
    page.set_state(PageState::kSealed);
    next = slot->value + 1;
  }
  tree_->marks().set_place(node, next - 1);
  count(node, TierId::kRam, true);
}

void Presence::clear_pages(NodeId node) {
  const std::optional<CopyPlace> copy = place(node);
  for (SlotId slot = first_page(node); slot.valid();) {
    // Before the slot is freed, which clears its link.
    const SlotId next = next_page(slot);
    work_->add(1);
    pool_->free(slot);
    slot = next;
  }
  tree_->marks().set_place(node, copy ? copy->slot : SlotId::kNone);
  count(node, TierId::kRam, false);
}

std::optional<CopyPlace> Presence::place(NodeId id) const {
  const Node& node = tree_->node(id);
  if (!node.is_in(kPlacedTier)) return std::nullopt;
  const uint32_t slot =
      node.is_in_ram() ? (last_page(id).next & ~kLastPageTag) - 1 : tree_->marks().place(id);
  return CopyPlace{.slot = slot, .generation = tree_->marks().copy_generation(id)};
}

void Presence::set_copy(NodeId node, TierId tier, CopyPlace place) {
  if (tier == kPlacedTier) {
    // Slots stay below 2^30, so the number leaves the tag's bit alone.
    QUIRE_CHECK(place.slot + 1 < kLastPageTag / 2);
    tree_->marks().set_copy_generation(node, place.generation);
    if (tree_->node(node).is_in_ram()) {
      last_page(node).next = kLastPageTag | (place.slot + 1);
    } else {
      tree_->marks().set_place(node, place.slot);
    }
  }
  count(node, tier, true);
}

void Presence::clear_copy(NodeId node, TierId tier) {
  if (tier == kPlacedTier) {
    if (tree_->node(node).is_in_ram()) {
      last_page(node).next = 0;
    } else {
      tree_->marks().set_place(node, SlotId::kNone);
    }
  }
  count(node, tier, false);
}

bool Presence::has_unreachable() const {
  return std::any_of(model::kTiers.begin(), model::kTiers.end(), [&](TierId tier) {
    const bool empty = counts(tier).spans + counts(tier).checkpoints == 0;
    return !empty && !states_[model::index_of(tier)].readable;
  });
}

// RAM's state is readable from the start and nobody changes it, so RAM needs no case of its own.
bool Presence::is_reachable(NodeId id) const { return source_of(id).has_value(); }

std::optional<TierId> Presence::source_of(NodeId id) const {
  const Node& node = tree_->node(id);
  for (const TierId tier : model::kTiers) {
    if (node.is_in(tier) && is_readable(tier)) return tier;
  }
  return std::nullopt;
}

bool Presence::gets_copy_soon(NodeId id) const {
  const Node& node = tree_->node(id);
  if (!node.is_in_ram() || node.has_copy_below(TierId::kRam)) return false;
  return std::any_of(states_.begin(), states_.end(),
                     [](const TierState& state) { return state.writes_soon; });
}

bool Presence::is_hole(NodeId id, TierId tier) const {
  const Node& node = tree_->node(id);
  return node.is_span() && !node.is_in(tier) && node.has_child_in(tier);
}

// With the tier's bit the node may become a hole of it, or its parent; or stop being one.
void Presence::set_bit(NodeId id, TierId tier, bool present) {
  const Node& node = tree_->node(id);
  const NodeId parent = tree_->parent(id);
  // Both nodes are taken out of the table before the bit moves and put back as they stand
  // afterwards, so no case has to be told apart.
  const auto move_holes = [&](bool there) {
    HoleTable& holes = holes_[model::index_of(tier)];
    for (const NodeId each : {id, parent}) {
      if (!is_hole(each, tier)) continue;
      there ? holes.add(node.root(), tree_->node(each).units())
            : holes.remove(node.root(), tree_->node(each).units());
    }
  };
  if (tier != kHintTier) move_holes(false);
  tree_->marks().set_copy(id, tier, present);
  if (tier != kHintTier) move_holes(true);
}

// The bit, and all that is counted by it.
void Presence::count(NodeId id, TierId tier, bool present) {
  const Node& node = tree_->node(id);
  // Counted out before the bit moves and in again after it, as holes are.
  const bool was_anywhere = node.has_copy();
  if (was_anywhere) --fastest_[model::index_of(node.fastest_tier())];
  set_bit(id, tier, present);
  if (node.has_copy()) ++fastest_[model::index_of(node.fastest_tier())];
  const Root& root = names_->root(node.root());
  const model::PagePlan& plan = plan_of(id);
  TierCounts& counts = counts_[model::index_of(tier)];
  model::Gauge& objects = node.is_span() ? counts.spans : counts.checkpoints;
  const StorageOwner owner{root.tenant, node.retention()};
  const HeldAmount amount{plan.page_bytes,
                          node.is_span() ? uint64_t{root.layout->layout.block_tokens} : 0};
  if (present) {
    ++objects;
    accounts_.charge(root.tenant, tier, plan.page_bytes);
    storage_.add(owner, model::index_of(tier), amount);
  } else {
    --objects;
    accounts_.refund(root.tenant, tier, plan.page_bytes);
    storage_.remove(owner, model::index_of(tier), amount);
  }
  if (!was_anywhere) storage_.add(owner, model::kAnyTier, amount);
  if (!node.has_copy()) storage_.remove(owner, model::kAnyTier, amount);
  if (tier == TierId::kRam) {
    count_pages(root, plan, present);
    if (node.is_quarantined()) quarantined_bytes_ += present ? plan.page_bytes : -plan.page_bytes;
  }
  // A quarantined one was told of when it was hidden.
  if (listener_ == nullptr || node.is_quarantined()) return;
  present ? listener_->stored(id, tier) : listener_->removed(id, tier);
}

void Presence::tell_hidden(NodeId id) {
  if (tree_->node(id).is_in_ram()) quarantined_bytes_ += plan_of(id).page_bytes;
  if (listener_ == nullptr) return;
  for (const TierId tier : model::kTiers) {
    if (tree_->node(id).is_in(tier)) listener_->removed(id, tier);
  }
}

void Presence::count_pages(const Root& root, const model::PagePlan& plan, bool present) {
  const uint32_t layout = root.key.layout.value;
  if (pages_by_layout_.size() <= layout) pages_by_layout_.resize(layout + size_t{1});
  for (const model::PlannedPage& page : plan.pages) {
    pages_by_layout_[layout][page.group] += present ? 1 : ~uint64_t{0};
  }
}

uint64_t Presence::pages_in_ram(model::LayoutId layout, model::GroupIndex group) const {
  return layout.value < pages_by_layout_.size() ? pages_by_layout_[layout.value][group] : 0;
}

bool Presence::may_drop(NodeId id) const {
  const Node& node = tree_->node(id);
  return node.is_object() && !node.is_pinned() && tree_->is_leaf(id);
}

bool Presence::may_leave(NodeId id, TierId tier) const {
  const Node& node = tree_->node(id);
  if (!node.is_object() || !node.is_in(tier) || node.has_child_in(tier)) return false;
  const bool in_ram = tier == TierId::kRam;
  // Who pins a node's presence does not care where it is, as long as it is durable somewhere.
  if (in_ram ? node.is_pinned(PinKind::kResidency) : node.is_pinned()) return false;
  // A hint costs nothing while its node is there for another copy's sake.
  if (tier == kHintTier) return !node.has_copy_besides(tier) && may_drop(id);
  // From a tier below RAM a copy in RAM counts too: who evicts there keeps the node.
  const bool elsewhere = node.has_copy_below(tier) || (!in_ram && node.is_in_ram());
  return elsewhere || may_drop(id);
}

void Presence::check_node(NodeId id, Tally& tally) const {
  const Node& node = tree_->node(id);
  if (node.is_span() || node.is_root()) {
    std::array<uint32_t, model::kTierCount> children{};
    tree_->children(id).for_each([&](NodeId child) {
      for (const TierId tier : model::kTiers) {
        children[model::index_of(tier)] += tree_->node(child).is_in(tier) ? 1 : 0;
      }
    });
    for (const TierId tier : model::kTiers) {
      QUIRE_CHECK(tree_->marks().children_in(id, tier) == children[model::index_of(tier)]);
    }
  }
  if (!node.is_object()) return;
  QUIRE_CHECK(node.has_copy());
  for (SlotId slot = first_page(id); slot.valid(); slot = next_page(slot)) {
    QUIRE_CHECK(pool_->page(slot).owner == id.value + 1);
    QUIRE_CHECK(pool_->page(slot).state() == PageState::kSealed);
  }
  ++tally.fastest[model::index_of(node.fastest_tier())];
  if (node.is_quarantined() && node.is_in_ram()) {
    tally.quarantined_bytes += plan_of(id).page_bytes;
  }
  for (const TierId tier : {TierId::kRam, kPlacedTier}) {
    if (!is_hole(id, tier)) continue;
    ++tally.holes[model::index_of(tier)][{node.root().value, node.units()}];
  }
  for (const TierId tier : model::kTiers) {
    if (!node.is_in(tier)) continue;
    TierCounts& counts = tally.counts[model::index_of(tier)];
    ++(node.is_span() ? counts.spans : counts.checkpoints);
    tally.bytes[{names_->root(node.root()).tenant.value, model::index_of(tier)}] +=
        plan_of(id).page_bytes;
  }
}

void Presence::check_invariants() const {
  Tally tally;
  for (uint32_t i = 0; i < tree_->end_of_nodes(); ++i) check_node(NodeId{i}, tally);
  QUIRE_CHECK(fastest_ == tally.fastest);
  QUIRE_CHECK(quarantined_bytes_ == tally.quarantined_bytes);
  for (size_t tier = 0; tier < holes_.size(); ++tier) {
    QUIRE_CHECK(holes_[tier].depth_count() == tally.holes[tier].size());
    for (const auto& [depth, count] : tally.holes[tier]) {
      QUIRE_CHECK(holes_[tier].count(model::RootId{depth.first}, depth.second) == count);
    }
  }
  for (const TierId tier : model::kTiers) {
    const TierCounts& counted = tally.counts[model::index_of(tier)];
    QUIRE_CHECK(counts(tier).spans == counted.spans);
    QUIRE_CHECK(counts(tier).checkpoints == counted.checkpoints);
    for (uint32_t tenant = 0; tenant < names_->tenants().end_of_ids(); ++tenant) {
      const auto bytes = tally.bytes.find({tenant, model::index_of(tier)});
      QUIRE_CHECK(accounts_.of(model::TenantId{tenant}, tier).used_bytes ==
                  (bytes == tally.bytes.end() ? 0 : bytes->second));
    }
  }
}

}  // namespace quire::cache
