// At start: the manifest becomes nodes of the cache (law 8, restart). Every run is claimed in the
// space, so an overlap is found before the first write. Three things may become of one:
//
//   restored                       nodes on SSD
//   kept (tiering/disk/ssd_kept.h)      cannot be served by this start, and why
//   erased from the manifest       can never be hit again: of a namespace that moved to a later
//                                  epoch, or an orphan, whose parent is provably not there
//
// Reads no extent: a header that does not fit is found when its object is loaded or scrubbed, and
// is a miss then.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/cache.h"
#include "model/result.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/disk/ssd_roots.h"
#include "tiering/space/ssd_space.h"

namespace quire::tiering {

struct RestoredCounters {
  model::Counter spans{"spans", "Spans restored at start"};
  model::Counter checkpoints{"checkpoints", "Checkpoints restored at start"};
  model::Counter runs{"runs", "Runs of the manifest that these stand in"};
  model::Counter orphans{"orphans", "Objects erased at start: their parent is not there"};
  model::Counter stale{"stale", "Objects erased at start: their namespace moved to a later epoch"};
  model::Counter rejected{"rejected", "Records of the manifest that do not parse"};
};
struct RestoreReport : RestoredCounters {
  KeptCounts kept;
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
  SsdKept* kept = nullptr;
};

// Before the first session. kCorrupt: two runs claim one slot; run `quirectl rebuild`. Other
// errors: the manifest cannot be read.
model::Result<RestoreReport> restore_from_manifest(const RestoreParts& parts);

}  // namespace quire::tiering
