// On which tiers an object is, and the one writer of it (DESIGN section 12.1).
//
// The rule of every tier: a copy may leave it when the node is not pinned there, has no child on
// that tier, and is on another tier or a leaf. So what a tier holds of a path is prefix-closed, but
// for holes (HoleTable), and what is nowhere else is present as long as something depends on it.
// kHintTier is shared with other daemons: a copy there, which counts as durable, is what this one
// knows of it, and takes no room but the node's. So it leaves with its node alone, once that is on
// no other tier (may_leave), and leaving erases nothing there.
//
// A copy below RAM costs no memory: its place is in the node while that is not in RAM, else in the
// link of its last page, behind kLastPageTag. Accounts are charged here, and whoever listens is
// told here. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "allocator/pool.h"
#include "cache/accounts/account_table.h"
#include "cache/accounts/storage_meter.h"
#include "cache/objects/hole_table.h"
#include "cache/objects/work_meter.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/prefix_tree.h"
#include "cache/tree/presence_listener.h"
#include "model/ids.h"
#include "model/metrics.h"

namespace quire::cache {

// What a lower tier does at present; the tier sets it.
struct TierState {
  bool readable = false;     // what is there only can be brought to RAM
  bool writes_soon = false;  // what is added gets a copy there, without being asked for
};

struct TierCounts {
  model::Gauge spans{"spans", "Spans with a copy on this tier"};
  model::Gauge checkpoints{"checkpoints", "Checkpoints with a copy on this tier"};
};

class Presence {
 public:
  // The tier whose copies have a place: a node has room for one.
  static constexpr model::TierId kPlacedTier{1};
  // The tier whose copies are named by key and may be gone when they are read.
  static constexpr model::TierId kHintTier{2};

  Presence(PrefixTree* tree, allocator::Pool* pool, NamespaceTable* names, WorkMeter* work)
      : tree_(tree),
        pool_(pool),
        names_(names),
        work_(work),
        accounts_(&names->tenants()),
        storage_(&names->tenants(), &names->retentions()) {}

  // The node is in RAM, in these filled slots in plan order, which are sealed and its own from now
  // on. Precondition: not in RAM.
  void set_pages(model::NodeId node, std::span<const model::SlotId> slots);
  // Frees them. Precondition: in RAM; the caller sees to a node that is nowhere then.
  void clear_pages(model::NodeId node);
  // A copy below RAM. `place` counts on kPlacedTier.
  void set_copy(model::NodeId node, model::TierId tier, CopyPlace place);
  // Precondition: there is one. The slot is its tier's to reuse.
  void clear_copy(model::NodeId node, model::TierId tier);

  bool may_leave(model::NodeId node, model::TierId tier) const;
  // A leaf without pins: may go from every tier.
  bool may_drop(model::NodeId node) const;
  // nullopt: no copy on kPlacedTier.
  std::optional<CopyPlace> place(model::NodeId node) const;
  // Page slots of a node in RAM in plan order; none after the last one, or when it is not there.
  model::SlotId first_page(model::NodeId node) const {
    return tree_->node(node).is_in_ram() ? model::SlotId{tree_->marks().place(node)}
                                         : model::SlotId{};
  }
  model::SlotId next_page(model::SlotId slot) const {
    const uint32_t next = pool_->page(slot).next;
    return (next & allocator::kLastPageTag) != 0 ? model::SlotId{} : model::SlotId{next - 1};
  }
  // Which pages the node has, wherever it is.
  const model::PagePlan& plan_of(model::NodeId node) const;

  // Null: nobody. Outlives the presence, or is taken away before it goes.
  void listen(PresenceListener* listener) { listener_ = listener; }
  // The node is about to be hidden: for whoever listens it is on no tier from now on. Precondition:
  // it is not quarantined yet.
  void tell_hidden(model::NodeId node);

  void set_state(model::TierId tier, TierState state) {
    // Who waits for a copy that does not come soon any more has to know.
    if (states_[model::index_of(tier)].writes_soon != state.writes_soon) {
      pool_->events().raise_all();
    }
    states_[model::index_of(tier)] = state;
  }
  // Whether it is in RAM, or can be brought there.
  bool is_reachable(model::NodeId node) const;
  bool is_readable(model::TierId tier) const { return states_[model::index_of(tier)].readable; }
  // Something may be on a tier only that cannot be read now.
  bool has_unreachable() const;
  // A path that ends here may leave RAM soon: when this node has its copy.
  bool gets_copy_soon(model::NodeId node) const;
  // The fastest tier that has it and can be read; nullopt: none.
  std::optional<model::TierId> source_of(model::NodeId node) const;
  // A span that is not on this tier, with a child that is.
  bool is_hole(model::NodeId node, model::TierId tier) const;
  // Their depths; of the hint tier nobody asks. The root's own node is none.
  const HoleTable& holes(model::TierId tier) const { return holes_[model::index_of(tier)]; }
  // Objects that no faster tier has.
  uint64_t count_fastest(model::TierId tier) const { return fastest_[model::index_of(tier)]; }
  // Pages in RAM that cannot be hit any more: they go with the last pin.
  uint64_t quarantined_bytes() const { return quarantined_bytes_; }
  // Objects with nothing in RAM.
  uint64_t count_below_ram() const { return count_fastest(kPlacedTier) + count_fastest(kHintTier); }

  // Objects with a copy there; one on two tiers counts twice.
  const TierCounts& counts(model::TierId tier) const { return counts_[model::index_of(tier)]; }
  // Pages in RAM of one group of a layout, tail pages included.
  uint64_t pages_in_ram(model::LayoutId layout, model::GroupIndex group) const;
  const AccountTable& accounts() const { return accounts_; }
  AccountTable& accounts() { return accounts_; }
  StorageMeter& storage() { return storage_; }
  void check_invariants() const;

 private:
  struct Tally;
  void count(model::NodeId node, model::TierId tier, bool present);
  void set_bit(model::NodeId node, model::TierId tier, bool present);
  void count_pages(const Root& root, const model::PagePlan& plan, bool present);
  allocator::PageEntry& last_page(model::NodeId node) const;
  void check_node(model::NodeId node, Tally& tally) const;

  PrefixTree* tree_;
  allocator::Pool* pool_;
  NamespaceTable* names_;
  WorkMeter* work_;
  PresenceListener* listener_ = nullptr;
  uint64_t quarantined_bytes_ = 0;
  AccountTable accounts_;
  StorageMeter storage_;  // of what accounts are charged for
  std::array<TierCounts, model::kTierCount> counts_{};
  std::array<TierState, model::kTierCount> states_{{{.readable = true}}};
  std::array<uint64_t, model::kTierCount> fastest_{};
  std::array<HoleTable, model::kTierCount - 1> holes_;
  std::vector<std::array<uint64_t, model::kMaxGroups>> pages_by_layout_;
};

}  // namespace quire::cache
