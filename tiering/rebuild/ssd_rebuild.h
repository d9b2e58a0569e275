// Makes the manifest of an SSD tier anew from the headers of its extents, for when RocksDB's files
// are lost or cannot be trusted. Offline: it holds the directory's lock from beginning to end.
//
//   manifest.new is written --> manifest becomes manifest.old --> manifest.new becomes manifest
//                                                             --> manifest.old is removed
//
// The directory is synced after each step. A crash leaves the old manifest, or the new one, or
// none, which SsdTier::open calls corrupt and which another rebuild mends.
//
// What comes back: for each key its latest header, where its chain of parents is whole, its layout
// is in the directory and its namespace has not moved on. A header may be of a copy that was given
// up, or whose pages never reached the device; that is found by its checksums when it is read, and
// is a miss then (law 4). Threads: one; blocks.
#pragma once

#include "model/result.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/rebuild/rebuild_report.h"

namespace rocksdb {
class Env;
}

namespace quire::tiering {

struct RebuildOptions {
  SsdDirectoryOptions directory;
  bool dry_run = false;  // not one byte is changed
  rocksdb::Env* manifest_env = nullptr;
};

// kNotFound: no tier at this path. kBusy: a daemon uses it. kUnsupportedVersion: a later daemon
// wrote it. kCorrupt: its superblock. kIoError, kResourceExhausted: the old manifest is as it was,
// unless the text says that there is none now.
model::Result<RebuildReport> rebuild_manifest(const RebuildOptions& options);

}  // namespace quire::tiering
