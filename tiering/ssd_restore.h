// At start: the manifest becomes nodes of the cache (law 8, restart). Every run is claimed in the
// space, so an overlap is found before the first write; what has no parent, no layout or no data
// file is not restored and must be erased from the manifest. Reads no extent: a header that does
// not fit is found when its object is loaded or scrubbed, and is a miss then.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/cache.h"
#include "model/result.h"
#include "tiering/manifest.h"
#include "tiering/ssd_directory.h"
#include "tiering/ssd_roots.h"
#include "tiering/ssd_space.h"

namespace quire::tiering {

struct RestoreReport {
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  uint64_t runs = 0;
  uint64_t orphans = 0;          // objects whose parent is not there
  uint64_t without_data = 0;     // objects whose data file is missing or too short
  uint64_t without_layout = 0;   // objects of layouts that are not in the directory any more
  uint64_t duplicates = 0;       // objects that another run holds too
  uint64_t stale = 0;            // objects of namespaces that moved to a later epoch
  uint64_t rejected = 0;         // records that do not parse
  uint64_t beyond_capacity = 0;  // objects in regions that the operator took away
  // What the manifest must forget. Its slots are free here already: the batches must be durable
  // before the first write to the directory (law 8).
  std::vector<ManifestBatch> cleaning;
};

struct RestoreParts {
  cache::Cache* cache = nullptr;
  Manifest* manifest = nullptr;
  SsdDirectory* directory = nullptr;
  SsdSpace* space = nullptr;
  SsdRoots* roots = nullptr;
};

// Before the first session. kCorrupt: two runs claim one slot; run `quirectl rebuild`. Other
// errors: the manifest cannot be read.
model::Result<RestoreReport> restore_from_manifest(const RestoreParts& parts);

}  // namespace quire::tiering
