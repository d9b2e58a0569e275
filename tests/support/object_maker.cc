#include "tests/support/object_maker.h"

#include <thread>

#include "cache/objects/pin.h"
#include "model/check.h"

namespace quire::tests {

using cache::NodeKind;
using model::FillKind;
using model::SlotId;

std::unique_ptr<cache::Cache> make_cache(allocator::Pool& pool, const CacheChoice& choice) {
  cache::CacheOptions options;
  options.max_nodes = choice.max_nodes;
  options.seed = choice.seed;
  auto made = cache::Cache::create(options, &pool).value();
  if (choice.ssd) {
    QUIRE_CHECK(made->attach_tier(model::TierId::kSsd, "lru").ok());
  }
  if (choice.cluster) {
    QUIRE_CHECK(made->attach_tier(model::TierId::kCluster, "lru").ok());
  }
  return made;
}

Room ObjectMaker::take_slots(model::RootId id, FillKind kind, uint32_t units,
                             std::vector<SlotId>& slots) {
  const cache::Root& root = cache_.names().root(id);
  const auto& pages = root.layout->plan(kind, units).pages;
  slots.resize(pages.size());
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto room = cache_.room().allocate(
        {.size_class = root.classes[pages[i].group], .tenant = root.tenant, .after = slots[i]},
        slots[i]);
    if (room == Room::kHave) continue;
    for (size_t taken = 0; taken < i; ++taken) cache_.store().pool().free(slots[taken]);
    slots.clear();
    return room;
  }
  return Room::kHave;
}

Room ObjectMaker::make(const NewObject& object, model::NodeId& node, std::vector<SlotId>& slots) {
  const cache::Pin parent_stays(&cache_.store(), object.parent, cache::PinKind::kResidency);
  const Room room = take_slots(object.root, object.kind, object.units, slots);
  if (room == Room::kHave) {
    const model::TenantId tenant = cache_.names().root(object.root).tenant;
    const auto retention = cache_.names().retentions().hold(tenant, object.retention);
    const NodeKind kind = object.kind == FillKind::kSpan ? NodeKind::kSpan : NodeKind::kCheckpoint;
    const auto made = cache_.store().add({.parent = object.parent,
                                          .kind = kind,
                                          .key = object.hash,
                                          .units = object.units,
                                          .retention = retention->number()},
                                         slots);
    QUIRE_CHECK(made.has_value());  // tests make fewer than max_nodes
    node = *made;
  }
  return room;
}

Room ObjectMaker::make(const NewObject& object, model::NodeId& node) {
  std::vector<SlotId> slots;
  return make(object, node, slots);
}

// Asks again and again: another thread makes the segment.
model::NodeId ObjectMaker::make_now(const NewObject& object) {
  model::NodeId node;
  while (make(object, node) == Room::kPending) std::this_thread::yield();
  return node;
}

}  // namespace quire::tests
