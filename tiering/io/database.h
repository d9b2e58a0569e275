// Ordered keys and values on a device: RocksDB, statically linked, on a thread of its own. Its
// users know records; this knows keys, batches, failures, and how far it has come.
//
//   core: submit(batch) --> queue of kMaxQueuedBatches --> writer: its first() work, then one
//   synced core: poll() <-- done, durable or failed, in order <--'        write of all that wait
//
// 1. A batch is on the device whole, and durable (WAL synced), when poll() returns it. Batches that
//    wait are written together (group commit), and none waits for company: who submits at least
//    once a second is durable at least once a second.
// 2. A write that failed is not tried again (fail-stop): RocksDB refuses writes from then on, and
// so
//    does this, until resume() succeeds.
// 3. A log that was emptied looks like one that never held more. How many changes there were stands
//    in a file beside it (tiering/io/database_count.h), written a second late at most: one that
//    opens with fewer says so (missing_writes).
//
// Each user has a directory of its own: one that fails, or is made anew, takes no other along.
// Settings (reliability: on-disk rules): paranoid_checks, kPointInTimeRecovery,
// track_and_verify_wals_in_manifest, protection_bytes_per_key 8. Exceptions do not leave
// database.cc. Threads: everything by the core but the private writer, which runs the work of
// batches and on_done; that must only wake. Bounds: kMaxQueuedBatches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/result.h"

namespace rocksdb {
class DB;
class Env;
}  // namespace rocksdb

namespace quire::tiering {

inline constexpr uint32_t kMaxQueuedBatches = 64;

struct DatabaseOptions {
  std::string path;
  std::string name = "database";  // what texts call it
  std::string repair;             // what helps one that is corrupt, for the operator; may be empty
  const char* thread_name = "quire-database";  // at most 15 bytes
  rocksdb::Env* env = nullptr;  // null: the system's. Tests put a file system that fails here.
  bool read_only = false;
  std::function<void()> on_done;  // after each group of batches
  // No thread: submit() returns when the batch is durable, or has failed (a simulation).
  bool on_caller = false;
};

// Changes that become durable together. Values copy and move.
class DatabaseBatch {
 public:
  void put(std::string key, std::string value) {
    changes_.push_back({false, std::move(key), std::move(value)});
  }
  void erase(std::string key) { changes_.push_back({true, std::move(key), {}}); }
  // Work that must be done before any of the changes is written (law 8): the writer runs it, once.
  // Its error fails this batch alone, changes nothing in RocksDB, and is no failure() of the
  // database. Not run when the database takes no writes. Replaces earlier work.
  void first(std::function<model::Result<void>()> work) { work_ = std::move(work); }

  bool empty() const { return changes_.empty(); }  // of changes
  size_t size() const { return changes_.size(); }
  uint64_t tag = 0;  // the submitter's

 private:
  friend class Database;
  struct Change {
    bool erase = false;
    std::string key;
    std::string value;
  };
  std::vector<Change> changes_;
  std::function<model::Result<void>()> work_;
};

struct DatabaseDone {
  DatabaseBatch batch;
  model::Result<void> result;
};

// One pass over the keys of a range, ascending. What it gives out is lent until next().
class DatabaseScan {
 public:
  DatabaseScan(DatabaseScan&&) noexcept;
  ~DatabaseScan();
  bool valid() const;
  void next();
  std::string_view key() const;
  std::string_view value() const;
  // Whether it ended at the end of the range. kIoError, kCorrupt.
  model::Result<void> result() const;

 private:
  friend class DatabaseReader;
  struct Pass;
  explicit DatabaseScan(std::unique_ptr<Pass> pass);
  std::unique_ptr<Pass> pass_;
};

// What Database::read() lends. Ranges are [from, to).
class DatabaseReader {
 public:
  DatabaseReader(rocksdb::DB* database, const DatabaseOptions* options)
      : database_(database), options_(options) {}
  DatabaseScan scan(std::string from, std::string to) const;
  DatabaseScan scan_prefix(char prefix) const;
  // Where an append-only range goes on; nothing when the range is empty.
  model::Result<std::optional<std::string>> last_key(std::string from, std::string to) const;

 private:
  rocksdb::DB* database_;
  const DatabaseOptions* options_;
};

class Database {
 public:
  // kCorrupt, kIoError, kBusy (another process holds it), kResourceExhausted (no space, no thread),
  // kNotFound (read_only, and there is none). read_only changes nothing on the device, takes no
  // lock, and fails every batch.
  static model::Result<std::unique_ptr<Database>> open(const DatabaseOptions& options);
  // Finishes what was submitted, then closes.
  ~Database();

  // After what was submitted is done; blocks until then. Scans end with `work`, whose error it
  // returns.
  model::Result<void> read(const std::function<model::Result<void>(const DatabaseReader&)>& work);

  // False when kMaxQueuedBatches wait (those not polled yet count); nothing was taken.
  bool submit(DatabaseBatch&& batch);
  // Batches that are durable, or failed, in the order of submission. Never blocks.
  std::vector<DatabaseDone> poll();
  size_t in_flight() const;  // not polled yet

  // Of one that was opened read_only: opens it anew for writing. Blocks. When it cannot, it is as
  // after a failure, and batches fail; nothing is done when it is open for writing.
  model::Result<void> make_writable();
  // After a failure: closes RocksDB, opens it anew and writes and syncs its log. What was submitted
  // before fails first; without a failure nothing is done. kIoError, kResourceExhausted, kCorrupt
  // when it still cannot: failure() stays, and batches fail. Blocks, tens of milliseconds; rare.
  // A batch that failed may yet be on the device: from then on its changes are there or not, whole.
  model::Result<void> resume();
  // The write or background error that stopped writes; empty = none.
  std::string failure() const;
  // Changes that were durable once and are not there; 0 when nothing is known to be missing. Found
  // when it is opened.
  uint64_t missing_writes() const;
  // Bytes RocksDB wrote to its files (WAL, flush, compaction) since it was opened.
  uint64_t bytes_written() const;

  // Destroys and re-creates it; offline. Cut short, it leaves one that open() calls corrupt, or
  // none.
  static model::Result<void> destroy(const DatabaseOptions& options);

 private:
  class Writer;  // RocksDB and the thread
  explicit Database(std::unique_ptr<Writer> writer);
  std::unique_ptr<Writer> writer_;
};

}  // namespace quire::tiering
