// Reads the records of a manifest out of its database (drawn in tiering/disk/manifest.h). Threads:
// the database's core.
#pragma once

#include <cstdint>
#include <functional>

#include "tiering/disk/manifest.h"

namespace quire::tiering {

// As Manifest::read_roots and read_runs; `rejected` counts records that do not parse.
model::Result<void> scan_roots(const DatabaseReader& reader, ManifestContents& contents);
model::Result<void> scan_runs(const DatabaseReader& reader,
                              const std::function<bool(const RunRecord&)>& visit,
                              uint64_t& rejected);

}  // namespace quire::tiering
