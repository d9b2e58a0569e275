#include "cache/fill/fill_memory.h"

#include <string>
#include <vector>

namespace quire::cache {

using model::Errc;
using model::FillKind;
using model::make_error;
using model::SlotId;

namespace {

// Of one call, whatever its number of pages; who needs more goes on with the next turn.
constexpr uint64_t kMaxEvictionsPerCall = 512;

// Memory goes by whole granules; accounts are charged a page's true size.
uint64_t slot_bytes(const model::PagePlan& plan) {
  constexpr uint64_t kGranuleBytes = allocator::ExtentMap::kGranuleBytes;
  uint64_t bytes = 0;
  for (const model::PlannedPage& page : plan.pages) {
    bytes += (page.bytes + kGranuleBytes - 1) / kGranuleBytes * kGranuleBytes;
  }
  return bytes;
}

}  // namespace

const Root& FillMemory::root_of(const Fill& fill) const {
  return parts_.names->root(fill.session->root);
}

const model::PagePlan& FillMemory::plan_of(const Fill& fill) const {
  return root_of(fill).layout->plan(fill.kind, fill.end_units);
}

// Without a lower tier the path to the session's tip cannot leave RAM.
uint64_t FillMemory::immovable_bytes(const Fill& fill) const {
  const CacheSession& session = *fill.session;
  if (parts_.store->has_lower_tier() || !session.tip.valid()) return 0;
  const KnownLayout& layout = *root_of(fill).layout;
  const uint32_t units = parts_.store->tree().node(session.tip.node()).units();
  return units / layout.units_per_block * slot_bytes(layout.span_plan);
}

// What can never be had is refused before anything is evicted for it.
model::Result<void> FillMemory::check_fits(const Fill& fill) const {
  const uint64_t needed = slot_bytes(plan_of(fill));
  const uint64_t pinned = immovable_bytes(fill);
  const model::TenantId tenant = root_of(fill).tenant;
  if (parts_.room->can_reach(tenant, needed + pinned)) return {};
  return make_error(Errc::kResourceExhausted, "this object takes " + std::to_string(needed) +
                                                  " bytes beside " + std::to_string(pinned) +
                                                  " of the session's own path, and its user's " +
                                                  "share of --ram_bytes is " +
                                                  std::to_string(parts_.room->reach_bytes(tenant)));
}

// Behind the session's last page of the group, so that a run of blocks lies adjacent.
Room FillMemory::next_slot(const Fill& fill, model::GroupIndex group, SlotId& slot) {
  CacheSession& session = *fill.session;
  auto& hints =
      fill.kind == FillKind::kSpan ? session.last_span_slot : session.last_checkpoint_slot;
  const Room room = parts_.room->reserve({.size_class = root_of(fill).classes[group],
                                          .tenant = root_of(fill).tenant,
                                          .after = hints[group],
                                          .reservation = session.reservation.ref()},
                                         slot);
  if (room == Room::kHave) hints[group] = slot;
  // The session's own path leaves RAM from its end on, once that has its copy.
  const bool path_leaves_soon =
      session.tip.valid() && parts_.store->presence().gets_copy_soon(session.tip.node());
  return room == Room::kNone && path_leaves_soon ? Room::kPending : room;
}

Room FillMemory::reserve(Fill& fill) {
  const std::vector<model::PlannedPage>& plan = plan_of(fill).pages;
  QUIRE_CHECK(plan.size() <= kMaxPagesPerObject);
  const uint64_t before = parts_.store->counters().made_room();
  // The slots that it has say where it stands: a fill that waited goes on with the page behind
  // them.
  while (fill.slots.count() < plan.size()) {
    parts_.store->work().add(1);
    const uint64_t evicted = parts_.store->counters().made_room() - before;
    SlotId slot;
    const Room room = evicted > kMaxEvictionsPerCall
                          ? Room::kPending
                          : next_slot(fill, plan[fill.slots.count()].group, slot);
    if (room == Room::kHave) {
      fill.slots.add(slot);
      continue;
    }
    // Who made room for itself and needs more is its own event, once it stands in the queue.
    const bool progress = parts_.store->counters().made_room() > before;
    if (room == Room::kPending) stay(fill, progress);
    if (progress) parts_.waiters->wake(fill.domain);
    return room;
  }
  return Room::kHave;
}

// In the queue. What it holds would keep others from trying.
void FillMemory::stay(Fill& fill, bool progress) {
  const WaiterId waiter = parts_.fills->number_of(fill);
  if (!parts_.waiters->waits(waiter)) return wait(fill);
  if (!progress) parts_.waiters->pass_on(waiter);
}

void FillMemory::wait(Fill& fill) {
  parts_.waiters->add(fill.domain, root_of(fill).tenant, parts_.fills->number_of(fill),
                      &fill.slots);
}

void FillMemory::stop(const Fill& fill) {
  const WaiterId waiter = parts_.fills->number_of(fill);
  if (parts_.waiters->waits(waiter)) parts_.waiters->remove(waiter);
}

std::optional<model::FillId> FillMemory::next_woken() {
  if (!parts_.waiters->any()) return std::nullopt;
  // Segments are made by another thread, which raises no event of the core's: somebody has to look.
  parts_.store->pool().note_supply();
  const std::optional<WaiterId> waiter = parts_.waiters->next_woken();
  if (!waiter) return std::nullopt;
  return parts_.fills->id_of(*waiter);
}

}  // namespace quire::cache
