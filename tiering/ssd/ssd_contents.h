// What the SSD tier has on its device, and what this start made of it: the directory with its data
// files, the manifest, the tables of space, and what was restored, kept or is to be erased.
//
//   open() --> restore() --> in use            the device takes writes
//                 \--> waits_for_writes() --make_writable()--> in use
//
// 1. A directory that cannot be written to now, by a failure that may pass, is opened for reading:
//    its hits are served, and nothing of it is changed before make_writable(). One that cannot be
//    made now, or only in part, is empty and made then.
// 2. Slots that this start took from the manifest's dead records are written to only after the
//    manifest has durably forgotten these (law 8).
// Threads: core only; open(), restore() and make_writable() block. Lifetime: cache, engine, health
// and clock outlive it. It judges no device after its start: that is SsdWatch's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "cache/cache.h"
#include "model/clock.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/disk/ssd_roots.h"
#include "tiering/restore/ssd_restore.h"
#include "tiering/space/ssd_files.h"
#include "tiering/space/ssd_space.h"
#include "tiering/transfer/ssd_health.h"

namespace quire::tiering {

struct SsdContentsOptions {
  SsdDirectoryOptions directory;
  uint64_t capacity_bytes = 0;  // of data files, rounded down to whole regions
  // What is done with a directory that has more than that: false: it is only read, until an
  // operator has decided; true: the least useful copies go.
  bool evict_to_capacity = false;
  rocksdb::Env* manifest_env = nullptr;
  bool manifest_on_caller = false;  // as DatabaseOptions::on_caller
  std::function<void()> on_wake;    // any thread: there is something to poll
};

struct SsdContentsParts {
  cache::Cache* cache = nullptr;
  IoEngine* engine = nullptr;
  SsdHealth* health = nullptr;
  const model::Clock* clock = nullptr;
};

class SsdContents {
 public:
  // Changes nothing when the capacity is too small (kInvalidArgument). kBusy, kUnsupportedVersion,
  // kCorrupt, kIoError, kResourceExhausted: as the directory's and the manifest's.
  static model::Result<std::unique_ptr<SsdContents>> open(const SsdContentsParts& parts,
                                                          const SsdContentsOptions& options);
  SsdContents(const SsdContents&) = delete;
  SsdContents& operator=(const SsdContents&) = delete;

  // Once. The manifest becomes nodes of the cache; health is told what must not be written over
  // before an operator has decided. After an error nothing of it is left in the cache.
  model::Result<void> restore();

  // Nothing was changed since the start yet, for nothing could be.
  bool waits_for_writes() const { return not_writable_.has_value(); }
  // What a start changes is changed now, in the same order; a manifest that failed since goes on.
  // Cut short by another failure it is tried again, from the beginning. Precondition where it
  // waits_for_writes(): no operation is in flight.
  model::Result<void> make_writable();
  // Each start has 2^40 generations of its own, so none is ever given out twice.
  uint64_t first_generation() const { return directory_->superblock().start_count << 40; }

  SsdDirectory* directory() const { return directory_.get(); }
  Manifest* manifest() const { return manifest_.get(); }
  SsdSpace* space() const { return space_.get(); }
  SsdFiles* files() const { return files_.get(); }
  SsdRoots* roots() { return &roots_; }
  const SsdRoots* roots() const { return &roots_; }
  SsdKept* kept() { return &kept_; }
  const SsdKept* kept() const { return &kept_; }
  const RestoreReport& restored() const { return restored_; }

 private:
  SsdContents(const SsdContentsParts& parts, const SsdContentsOptions& options)
      : parts_(parts), options_(options), roots_(parts.cache) {}
  model::Result<void> open_parts();
  model::Result<void> open_directory();
  model::Result<void> open_manifest();
  model::Result<void> clean_manifest();
  void forget_restored();
  void judge_restored();
  void measure_blocks();
  void wait_for_writes(model::Error&& why);

  SsdContentsParts parts_;
  SsdContentsOptions options_;
  SsdRoots roots_;
  SsdKept kept_;
  RestoreReport restored_;
  std::optional<model::Error> not_writable_;  // why waits_for_writes()
  std::unique_ptr<SsdDirectory> directory_;   // outlives the manifest, whose thread uses it
  std::unique_ptr<Manifest> manifest_;
  std::unique_ptr<SsdSpace> space_;
  std::unique_ptr<SsdFiles> files_;
};

}  // namespace quire::tiering
