// Makes caches, and objects in them by hand: slots for their pages, then a node, without a session
// that writes. The bytes of the pages are whatever lay there.
//
// Threads: core, as Inspector. Lifetime: a view; the cache outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"

namespace quire::tests {

struct CacheChoice {
  uint64_t max_nodes = 1 << 14;
  uint64_t seed = 0;
  bool ssd = false;  // copies on an SSD may be told of; a tier is not there
  bool cluster = false;
};
// LRU in RAM and, if asked for, by runs on SSD.
std::unique_ptr<cache::Cache> make_cache(allocator::Pool& pool, const CacheChoice& choice = {});

struct NewObject {
  model::RootId root;
  model::NodeId parent;  // a span, or the root's own node
  model::FillKind kind = model::FillKind::kSpan;
  model::Hash256 hash;
  uint32_t units = 0;          // position of its end
  std::string retention = {};  // class
};

using cache::Room;

class ObjectMaker {
 public:
  explicit ObjectMaker(cache::Cache& cache) : cache_(cache) {}

  // One slot a page of such an object, evicting what may go. `slots` holds them on kHave, is empty
  // otherwise; what it held before, of an object of this kind, are the places to go on behind.
  // kPending: ask again later.
  Room take_slots(model::RootId root, model::FillKind kind, uint32_t units,
                  std::vector<model::SlotId>& slots);
  // Takes the slots, and makes the object of them; what is evicted meanwhile is not its parent.
  // `node` is set on kHave.
  Room make(const NewObject& object, model::NodeId& node, std::vector<model::SlotId>& slots);
  Room make(const NewObject& object, model::NodeId& node);
  // Waits for memory that is on its way; an invalid id when there is no room.
  model::NodeId make_now(const NewObject& object);

 private:
  cache::Cache& cache_;
};

}  // namespace quire::tests
