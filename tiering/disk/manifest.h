// The manifest: which slots of the data files hold what. RocksDB, statically linked, on a thread of
// its own.
//
//   "e" domain 0 namespace 0 tenant  -> weights epoch           (a namespace never goes back)
//   "r" root                         -> RootRecord
//   "s" root units kind slot         -> RunRecord               a run: objects in adjacent slots,
//   "t" root units kind slot         -> count that is left      written at once, each the parent of
//                                                               the next (a checkpoint: one alone)
// Integers in keys are big-endian, so one pass reads parents before children. A run loses objects
// from its end only (leaf first); what is left is the smaller of its own count and its "t" record.
//
// Law 8: the caller submits a batch after the data it names is on the device; a batch is durable
// (WAL synced) when poll() returns it; slots that a batch frees are reused after that, not before.
// Batches that wait are written together (group commit). A failed write is not retried: RocksDB
// refuses writes from then on, and so does the manifest, until resume() succeeds. What a batch
// needs on the device before, and may block, is done by the writer: ManifestBatch::first().
//
// Loss: a log that was emptied looks like one that never held more. How far the manifest has come
// stands in a file beside it (tiering/disk/manifest_count.h), written a second late at most: a
// manifest that opens with less says so (missing_writes).
//
// Settings (reliability: on-disk rules): paranoid_checks, kPointInTimeRecovery,
// track_and_verify_wals_in_manifest, protection_bytes_per_key 8. Exceptions do not leave
// manifest.cc. Threads: everything by the core but the private writer, which runs the work of
// batches and on_done; that must only wake. Bounds: kMaxQueuedBatches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/hash256.h"
#include "model/result.h"
#include "tiering/disk/ssd_format.h"

namespace rocksdb {
class Env;
}

namespace quire::tiering {

inline constexpr uint32_t kMaxQueuedBatches = 64;
inline constexpr uint32_t kMaxRunObjects = 16;  // = the slots of one chunk in RAM

// One prefix tree. `id` is the manifest's own number, dense, never reused within a directory.
struct RootRecord {
  uint32_t id = 0;
  model::Hash256 hash;
  model::Hash256 layout_digest;
  uint64_t weights_epoch = 0;
  std::string domain;
  std::string tenant;
  std::string namespace_name;
};

struct RunKey {
  uint32_t root = 0;   // RootRecord::id
  uint32_t units = 0;  // end of the first object
  uint8_t kind = 0;    // cache::NodeKind
  SsdSlot slot;        // of the first object
};

struct RunRecord {
  RunKey key;
  uint64_t generation = 0;    // of the first object; +1 for each next one
  uint32_t unit_step = 0;     // units from one object to the next (a span: those of a block)
  uint32_t parent_units = 0;  // 0: the parent is the root
  uint32_t owner_tag = 0;     // of a checkpoint
  bool kept = false;          // of a checkpoint
  uint64_t slot_bytes = 0;    // of encoded objects; 0: as their layout has them
  model::Hash256 parent_key;  // of the first object's parent; the root's hash at parent_units 0
  std::vector<model::Hash256> keys;  // one an object, 1..kMaxRunObjects
  std::vector<uint16_t> more;        // of one object that fits no region: the others that it takes
};

// For tables keyed by hashes that this daemon's own headers named.
struct HashOfHash256 {
  size_t operator()(const model::Hash256& hash) const { return hash.word(0); }
};

// Changes that become durable together. Values copy and move.
class ManifestBatch {
 public:
  void put_epoch(std::string_view domain, std::string_view namespace_name, uint64_t epoch);
  void put_root(const RootRecord& root);
  void erase_root(uint32_t id);
  void put_run(const RunRecord& run);
  // `left` objects of the run remain; 0 erases it.
  void truncate_run(const RunKey& run, uint32_t left);
  // Work that must be done before any of the changes is written (law 8): the writer runs it, once.
  // Its error fails this batch alone, changes nothing in RocksDB, and is no failure() of the
  // manifest. Not run when the manifest takes no writes. Replaces earlier work.
  void first(std::function<model::Result<void>()> work) { work_ = std::move(work); }

  bool empty() const { return changes_.empty(); }  // of changes
  size_t size() const { return changes_.size(); }
  uint64_t tag = 0;  // the submitter's

 private:
  friend class Manifest;
  struct Change {
    bool erase = false;
    std::string key;
    std::string value;
  };
  std::vector<Change> changes_;
  std::function<model::Result<void>()> work_;
};

struct ManifestContents {
  // domain, namespace -> epoch
  std::vector<std::pair<std::pair<std::string, std::string>, uint64_t>> epochs;
  std::vector<RootRecord> roots;
  uint64_t rejected = 0;  // records that do not parse: left out, counted, never guessed
};

struct ManifestOptions {
  std::string path;
  rocksdb::Env* env = nullptr;  // null: the system's. Tests put a file system that fails here.
  bool read_only = false;
  std::function<void()> on_done;  // after each group of batches
};

struct ManifestDone {
  ManifestBatch batch;
  model::Result<void> result;
};

class Manifest {
 public:
  // kCorrupt (run `quirectl rebuild`), kIoError, kBusy (another process holds it),
  // kResourceExhausted (no space), kNotFound (read_only, and there is none). read_only changes
  // nothing on the device, takes no lock, and fails every batch.
  static model::Result<std::unique_ptr<Manifest>> open(const ManifestOptions& options);
  // Finishes what was submitted, then closes.
  ~Manifest();

  // At start, before the first submit. Roots and epochs; then each run that is left, truncated, in
  // key order: parents before children. `visit` returns false to stop; the record lives for the
  // call. read_runs returns how many run and truncation records did not parse; a run whose
  // truncation does not parse is left out.
  model::Result<ManifestContents> read_roots();
  model::Result<uint64_t> read_runs(const std::function<bool(const RunRecord&)>& visit);

  // False when kMaxQueuedBatches wait (those not polled yet count); nothing was taken.
  bool submit(ManifestBatch&& batch);
  // Batches that are durable, or failed, in the order of submission. Never blocks.
  std::vector<ManifestDone> poll();
  size_t in_flight() const { return in_flight_; }

  // Of one that was opened read_only: opens it anew for writing. Blocks. When it cannot, it is as
  // after a failure, and batches fail; nothing is done when it is open for writing.
  model::Result<void> make_writable();
  // After a failure: closes RocksDB, opens it anew and writes and syncs its log. What was submitted
  // before fails first; without a failure nothing is done. kIoError, kResourceExhausted, kCorrupt
  // when it still cannot: failure() stays, and batches fail. Blocks, tens of milliseconds; rare.
  // A batch that failed may yet be on the device: from then on its records are there or not, whole.
  model::Result<void> resume();
  // The write or background error that stopped writes; empty = none.
  std::string failure() const;
  // Changes that were durable once and are not there; 0 when nothing is known to be missing. Found
  // when it is opened.
  uint64_t missing_writes() const;
  // Bytes RocksDB wrote to its files (WAL, flush, compaction) since it was opened.
  uint64_t bytes_written() const;

  // Destroys and re-creates a manifest; offline (rebuild). Cut short, it leaves one that open()
  // calls corrupt, or none.
  static model::Result<void> destroy(const ManifestOptions& options);

 private:
  class Writer;  // RocksDB and the thread
  explicit Manifest(std::unique_ptr<Writer> writer);
  std::unique_ptr<Writer> writer_;
  size_t in_flight_ = 0;
};

}  // namespace quire::tiering
