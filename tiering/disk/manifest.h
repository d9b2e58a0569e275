// The manifest: which slots of the data files hold what. Records in a database
// (tiering/database/database.h) whose thread makes them durable.
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
// when poll() returns it; slots that a batch frees are reused after that, not before. What a batch
// needs on the device before, and may block, is done by the database's writer:
// ManifestBatch::first(). Failures, resuming, loss, threads and bounds are the database's.
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
#include "tiering/database/database.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

inline constexpr size_t kChangesInABatch = 4096;  // where there are many to make: some 100 KiB
inline constexpr uint32_t kMaxRunObjects = 16;    // = the slots of one chunk in RAM

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
  std::string retention;      // class that all of its objects are kept by; empty: none
  uint64_t slot_bytes = 0;    // of encoded objects; 0: as their layout has them
  model::Hash256 parent_key;  // of the first object's parent; the root's hash at parent_units 0
  std::vector<model::Hash256> keys;  // one an object, 1..kMaxRunObjects
  std::vector<uint16_t> more;        // of one object that fits no region: the others that it takes
};

// Superblock's incompatible features that a daemon must know to read it.
inline uint64_t features_of(const RunRecord& run) {
  return (run.more.empty() ? 0 : kLargeObjects) | (run.retention.empty() ? 0 : kRetentionClasses);
}

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
  // As DatabaseBatch::first().
  void first(std::function<model::Result<void>()> work) { changes_.first(std::move(work)); }

  bool empty() const { return changes_.empty(); }  // of changes
  size_t size() const { return changes_.size(); }
  uint64_t tag = 0;  // the submitter's

 private:
  friend class Manifest;
  DatabaseBatch changes_;
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
  bool absent = false;            // as DatabaseOptions::absent
  std::function<void()> on_done;  // after each group of batches
  bool on_caller = false;         // as DatabaseOptions::on_caller
};

struct ManifestDone {
  ManifestBatch batch;
  model::Result<void> result;
};

class Manifest {
 public:
  // As Database::open(); what kCorrupt asks for is `quirectl rebuild`. Finishes what was submitted
  // before it goes.
  static model::Result<std::unique_ptr<Manifest>> open(const ManifestOptions& options);

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
  size_t in_flight() const { return database_->in_flight(); }

  // As the database's, each. A batch that failed may yet be on the device: from resume() on its
  // records are there or not, whole.
  model::Result<void> make_writable() { return database_->make_writable(); }
  model::Result<void> resume() { return database_->resume(); }
  std::string failure() const { return database_->failure(); }
  uint64_t missing_writes() const { return database_->missing_writes(); }
  uint64_t bytes_written() const { return database_->bytes_written(); }
  // For a rebuild.
  static model::Result<void> destroy(const ManifestOptions& options);

 private:
  explicit Manifest(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  std::unique_ptr<Database> database_;
};

}  // namespace quire::tiering
