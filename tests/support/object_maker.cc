#include "tests/support/object_maker.h"

#include <thread>

#include "cache/eviction/coarse_lru_policy.h"
#include "cache/eviction/lru_policy.h"
#include "model/check.h"

namespace quire::tests {

using cache::NodeKind;
using cache::NodeStore;
using model::FillKind;
using model::SlotId;

std::unique_ptr<cache::Cache> make_cache(allocator::Pool& pool, const CacheChoice& choice) {
  cache::CacheOptions options;
  options.max_nodes = choice.max_nodes;
  options.seed = choice.seed;
  options.policy_factory = [max_nodes = choice.max_nodes] {
    return model::Result<std::unique_ptr<cache::EvictionPolicy>>(
        cache::LruPolicy::create(max_nodes).value());
  };
  auto made = cache::Cache::create(options, &pool).value();
  if (choice.ssd) {
    made->store().attach_ssd(cache::CoarseLruPolicy::create(choice.max_nodes).value());
  }
  return made;
}

Room ObjectMaker::take_slots(model::RootId id, FillKind kind, uint32_t units,
                             std::vector<SlotId>& slots) {
  const cache::Root& root = cache_.names().root(id);
  const auto& pages = root.layout->plan(kind, units).pages;
  slots.resize(pages.size());
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto room =
        cache_.store().allocate(root.classes[pages[i].group], root.key.domain, slots[i], slots[i]);
    if (room == NodeStore::Room::kHave) continue;
    for (size_t taken = 0; taken < i; ++taken) cache_.store().pool().free(slots[taken]);
    slots.clear();
    return room == NodeStore::Room::kPending ? Room::kPending : Room::kNone;
  }
  return Room::kHave;
}

Room ObjectMaker::make(const NewObject& object, model::NodeId& node, std::vector<SlotId>& slots) {
  NodeStore& store = cache_.store();
  store.pin(object.parent);
  const Room room = take_slots(object.root, object.kind, object.units, slots);
  if (room == Room::kHave) {
    const NodeKind kind = object.kind == FillKind::kSpan ? NodeKind::kSpan : NodeKind::kCheckpoint;
    const auto made = store.add(object.parent, kind, object.hash, object.units, slots);
    QUIRE_CHECK(made.has_value());  // tests make fewer than max_nodes
    node = *made;
  }
  store.unpin(object.parent);
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
