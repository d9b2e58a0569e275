#include "tiering/load_memory.h"

#include <string>
#include <vector>

#include "model/page_plan.h"

namespace quire::tiering {

using cache::ObjectStore;
using model::NodeId;
using model::SlotId;

bool LoadMemory::needs_slots(NodeId node) const {
  const cache::Node& link = cache_->store().tree().node(node);
  return !link.is_in_ram() && !link.is_moving();
}

model::Result<void> LoadMemory::check_fits(model::TenantId tenant, uint64_t bytes) const {
  if (cache_->room().can_reach(tenant, bytes)) return {};
  return model::make_error(model::Errc::kResourceExhausted,
                           "this load takes " + std::to_string(bytes) +
                               " bytes, and its user's share of --ram_bytes is " +
                               std::to_string(cache_->room().reach_bytes(tenant)) +
                               "; load fewer blocks at a time");
}

// Slots behind those of the node before, so that a run lies adjacent in RAM too.
bool LoadMemory::reserve_node(LoadRecord& load, NodeId node, Reserved& outcome) {
  ObjectStore& store = cache_->store();
  const cache::Root& root = cache_->names().root(store.tree().node(node).root());
  const std::vector<model::PlannedPage>& plan = store.presence().plan_of(node).pages;
  const std::span<const SlotId> before =
      load.reserved == 0 ? std::span<const SlotId>() : load.slots_of(load.reserved - 1);
  const size_t start = load.slots.size();
  for (size_t i = 0; i < plan.size(); ++i) {
    const SlotId after =
        before.size() == plan.size() ? load.slots[start - plan.size() + i] : SlotId{};
    SlotId slot;
    const cache::Room room = cache_->room().allocate({.size_class = root.classes[plan[i].group],
                                                      .tenant = root.tenant,
                                                      .after = after,
                                                      .reservation = load.reservation},
                                                     slot);
    if (room == cache::Room::kHave) {
      load.slots.push_back(slot);
      continue;
    }
    outcome = room == cache::Room::kPending ? Reserved::kWaiting : Reserved::kNoRoom;
    for (size_t s = start; s < load.slots.size(); ++s) store.pool().free(load.slots[s]);
    load.slots.resize(start);
    return false;
  }
  use(load, node, true);
  return true;
}

void LoadMemory::use(LoadRecord& load, NodeId node, bool more) {
  const uint64_t bytes = cache_->store().presence().plan_of(node).page_bytes;
  load.used_bytes += more ? bytes : -bytes;
  more ? load.reservation.use(bytes) : load.reservation.unuse(bytes);
}

void LoadMemory::end_use(LoadRecord& load) {
  load.reservation.unuse(load.used_bytes);
  load.reservation = {};  // what it lets go of later is in no account of the session
}

LoadMemory::Reserved LoadMemory::reserve(LoadRecord& load, uint32_t nodes, uint64_t& shared) {
  for (uint32_t step = 0; step < nodes; ++step) {
    if (load.is_reserved()) return Reserved::kDone;
    const NodeId node = load.nodes[load.reserved].node();
    Reserved outcome = Reserved::kMore;
    if (needs_slots(node)) {
      if (!reserve_node(load, node, outcome)) return outcome;
    } else {
      ++shared;
    }
    load.slot_ends.push_back(static_cast<uint32_t>(load.slots.size()));
    ++load.reserved;
  }
  return load.is_reserved() ? Reserved::kDone : Reserved::kMore;
}

void LoadMemory::free_slots(const LoadRecord& load, size_t index) {
  for (const SlotId slot : load.slots_of(index)) cache_->store().pool().free(slot);
}

// From the end on, so that what is left is still a head of the range.
bool LoadMemory::give_back(LoadRecord& load, uint32_t nodes) {
  for (; nodes > 0 && load.reserved > load.issued; --nodes) {
    --load.reserved;
    if (!load.slots_of(load.reserved).empty()) use(load, load.nodes[load.reserved].node(), false);
    free_slots(load, load.reserved);
    load.slot_ends.pop_back();
    load.slots.resize(load.slot_ends.empty() ? 0 : load.slot_ends.back());
  }
  return load.reserved == load.issued;
}

}  // namespace quire::tiering
