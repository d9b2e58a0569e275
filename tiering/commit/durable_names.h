// What must be durable before the manifest names objects (law 8), and is under its own name in the
// directory: data files, layouts, the features that an earlier version does not know. A batch that
// is first to rely on one has the manifest's writer make it durable before: the core waits for no
// sync.
//
//   not known --add_to(batch)--> in the batch --batch_durable()--> known
//        ^-------- the next add_to(), after a failure --/
//
// Threads: core only; what it adds to a batch runs on the manifest's. Bound: the cache's layouts.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "cache/cache.h"
#include "model/hash256.h"
#include "model/layout.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/space/ssd_files.h"
#include "tiering/transfer/ssd_transfer.h"

namespace quire::tiering {

class DurableNames {
 public:
  // The directory outlives the manifest.
  DurableNames(cache::Cache* cache, const SsdDirectory* directory, const SsdFiles* files)
      : cache_(cache), directory_(directory), files_(files) {}

  // Has the batch make durable what these runs are the first to rely on. One batch at a time.
  // Precondition: their nodes are pinned.
  void add_to(ManifestBatch& batch, std::span<Transfer* const> transfers);
  // The last batch that was added to.
  void batch_durable();

 private:
  struct NewLayout {
    model::Hash256 digest;
    model::Layout layout;
  };
  void find_new_layouts(std::span<Transfer* const> transfers);

  cache::Cache* cache_;
  const SsdDirectory* directory_;
  const SsdFiles* files_;

  // Known to be durable.
  uint32_t named_files_ = 0;  // SsdFiles::made_count() at the time
  std::unordered_set<model::Hash256, HashOfHash256> stored_layouts_;
  uint64_t says_features_ = 0;  // the superblock: an earlier version refuses the directory

  // With the batch.
  uint32_t files_in_batch_ = 0;
  std::vector<NewLayout> layouts_in_batch_;
  uint64_t features_in_batch_ = 0;
};

}  // namespace quire::tiering
