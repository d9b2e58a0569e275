// Reads the records of a manifest out of RocksDB (drawn in tiering/disk/manifest.h). Threads: any,
// while nobody writes.
#pragma once

#include <cstdint>
#include <functional>

#include "tiering/disk/manifest.h"

namespace rocksdb {
class DB;
class Status;
}  // namespace rocksdb

namespace quire::tiering {

// As Manifest::read_roots and read_runs; `rejected` counts records that do not parse.
rocksdb::Status scan_roots(rocksdb::DB& database, ManifestContents& contents);
rocksdb::Status scan_runs(rocksdb::DB& database, const std::function<bool(const RunRecord&)>& visit,
                          uint64_t& rejected);

}  // namespace quire::tiering
