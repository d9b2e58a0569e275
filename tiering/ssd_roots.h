// Numbers of prefix trees in the manifest. A RootId of the cache is reused when its tree is gone,
// so the root's hash decides whether a number still holds. Threads: core only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/hash256.h"
#include "tiering/manifest.h"

namespace quire::tiering {

class SsdRoots {
 public:
  explicit SsdRoots(cache::Cache* cache) : cache_(cache) {}

  // Found at start.
  void restored(model::RootId root, const RootRecord& record);
  // No number below is given out again.
  void set_next(uint32_t number) { next_number_ = number; }
  // The root's number, made when it has none.
  uint32_t number(model::RootId root);
  // Of the root that had this id when its number was last asked for: what it gave up may be erased
  // when it is forgotten already.
  uint32_t last_number(model::RootId root) const { return by_root_[root.value].number; }
  // Adds the records of the root to the batch unless they are known to be durable.
  void describe(model::RootId root, ManifestBatch& batch);
  // A batch that described it is durable. Precondition: it has nodes still.
  void durable(model::RootId root) { by_root_[root.value].durable = true; }

 private:
  struct Known {
    model::Hash256 hash;
    uint32_t number = 0;
    bool in_use = false;
    bool durable = false;
  };
  cache::Cache* cache_;
  std::vector<Known> by_root_;  // by RootId
  uint32_t next_number_ = 1;
};

}  // namespace quire::tiering
