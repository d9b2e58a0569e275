// Numbers of prefix trees in the manifest, and how many runs it holds of each: a root's record goes
// with its last run. A RootId of the cache is reused when its tree is gone, so the root's hash
// decides whether a number still holds. A hash with runs has one number, also while this start
// cannot serve it. Threads: core only.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "model/hash256.h"
#include "tiering/disk/manifest.h"

namespace quire::tiering {

class SsdRoots {
 public:
  explicit SsdRoots(cache::Cache* cache) : cache_(cache) {}

  // Found at start. The number of its hash: that of the record, or of an earlier one of the hash.
  uint32_t found(const RootRecord& record);
  // The tree of a root that was found.
  void restored(model::RootId root, const model::Hash256& hash, uint32_t number);
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
  void durable(model::RootId root) { entry_of(by_root_[root.value]).durable = true; }

  // Runs that the manifest may hold, from the moment at which their batch is submitted until that
  // of one that erases them is.
  void add_run(uint32_t number) { ++by_number_[number].runs; }
  void remove_run(uint32_t number);
  // Erases the records of roots whose last run goes with the batch. A batch that fails may have
  // erased them or not: they are put again with the next run.
  void erase_empty(ManifestBatch& batch);
  size_t count() const { return by_number_.size(); }  // with runs

 private:
  struct Known {
    model::Hash256 hash;
    uint32_t number = 0;
    bool in_use = false;
  };
  struct Entry {
    model::Hash256 hash;
    uint64_t runs = 0;
    bool durable = false;
  };
  Entry& entry_of(const Known& known);

  cache::Cache* cache_;
  std::vector<Known> by_root_;                     // by RootId
  std::unordered_map<uint32_t, Entry> by_number_;  // with a record in the manifest, or on its way
  std::unordered_map<model::Hash256, uint32_t, HashOfHash256> by_hash_;  // of those
  std::vector<uint32_t> emptied_;  // their last run was removed; since the last erase_empty()
  uint32_t next_number_ = 1;
};

}  // namespace quire::tiering
