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

#include <cstdint>
#include <string>

#include "model/result.h"
#include "tiering/disk/ssd_directory.h"

namespace rocksdb {
class Env;
}

namespace quire::tiering {

struct RebuildOptions {
  SsdDirectoryOptions directory;
  bool dry_run = false;  // not one byte is changed
  rocksdb::Env* manifest_env = nullptr;
};

struct RebuildReport {
  // What the new manifest holds.
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  uint64_t runs = 0;
  uint64_t roots = 0;
  // What was looked at.
  uint64_t files = 0;
  uint64_t regions = 0;
  uint64_t headers = 0;  // that check
  // Headers that were skipped.
  uint64_t damaged = 0;
  uint64_t foreign = 0;    // of another directory
  uint64_t misplaced = 0;  // name another slot than their own
  uint64_t left_over = 0;  // of an earlier slot size of their region
  uint64_t unreadable_bytes = 0;
  // Objects that were left out.
  uint64_t older_copies = 0;    // another slot holds the key with a higher generation
  uint64_t without_layout = 0;  // their layout is not in the directory
  uint64_t misfits = 0;         // not what their layout says of sizes and positions
  uint64_t stale = 0;           // of a namespace that moved to a later epoch
  uint64_t orphans = 0;         // their parent is not there
};

// kNotFound: no tier at this path. kBusy: a daemon uses it. kUnsupportedVersion: a later daemon
// wrote it. kCorrupt: its superblock. kIoError, kResourceExhausted: the old manifest is as it was,
// unless the text says that there is none now.
model::Result<RebuildReport> rebuild_manifest(const RebuildOptions& options);

// One line a field: "spans 123".
std::string describe(const RebuildReport& report);

}  // namespace quire::tiering
