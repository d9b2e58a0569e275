// Room in the table of nodes. What is on the hint tier only (Presence::kHintTier) has a node here
// and nothing else, and whoever shares that tier can bring in more of it than the table holds: so
// it is forgotten, the least recently used first and leaves before their parents, while few places
// are left. Nothing is erased on the tier, whose next search finds it again.
//
// Pinned nodes stay, and what has another copy. A table that is full of these is as it was: adding
// fails. Threads: core only. A step is bounded.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cache/eviction/evictor.h"
#include "cache/objects/object_store.h"
#include "model/metrics.h"

namespace quire::cache {

class NodeRoom {
 public:
  NodeRoom(ObjectStore* store, Evictor* evictor)
      : store_(store),
        evictor_(evictor),
        spare_(std::clamp<uint64_t>(store->tree().free_count() / 64, 16, 1 << 16)) {}

  // Up to `most` are forgotten, where fewer than spare_count() places are left. True: more are to
  // be. For what clients add in a turn.
  bool step(uint32_t most);
  // Room for one that is not worth the last places: the most of them are kept for what clients
  // write. False: none can be made.
  bool make_one();
  uint64_t spare_count() const { return spare_; }
  const model::Counter& forgotten() const { return forgotten_; }

 private:
  bool forget_one();

  ObjectStore* store_;
  Evictor* evictor_;
  const uint64_t spare_;
  model::Counter forgotten_{
      "forgotten",
      "Objects on the cluster only that made room for others",
      {model::MetricFamily::kEvictedGroups, R"(tier="cluster",reason="room")"}};
};

}  // namespace quire::cache
