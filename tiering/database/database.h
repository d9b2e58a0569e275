// Ordered keys and values on a device, with a thread of its own that makes them durable. Its users
// know records; this knows batches, their order, and that a group of them is one write.
//
//   core: submit(batch) --> queue of kMaxQueuedBatches --> writer: its first() work, then one
//   synced core: poll() <-- done, durable or failed, in order <--'        write of all that wait
//
// 1. A batch is on the device whole, and durable (WAL synced), when poll() returns it. Batches that
//    wait are written together (group commit), and none waits for company: who submits at least
//    once a second is durable at least once a second.
// 2. Failures and their end are RocksStore's (rocks_store.h), which is RocksDB.
//
// Each user has a directory of its own: one that fails, or is made anew, takes no other along.
// Threads: everything by the core but the private writer, which runs the work of batches and
// on_done; that must only wake. Bounds: kMaxQueuedBatches.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/helper_thread.h"
#include "model/result.h"
#include "tiering/database/database_batch.h"
#include "tiering/database/database_options.h"
#include "tiering/database/rocks_store.h"

namespace quire::tiering {

inline constexpr uint32_t kMaxQueuedBatches = 64;

struct DatabaseDone {
  DatabaseBatch batch;
  model::Result<void> result;
};

class Database {
 public:
  // kCorrupt, kIoError, kBusy (another process holds it), kResourceExhausted (no space, no thread),
  // kNotFound (read_only, and there is none). read_only changes nothing on the device, takes no
  // lock, and fails every batch.
  static model::Result<std::unique_ptr<Database>> open(const DatabaseOptions& options);
  // Finishes what was submitted, then closes.
  ~Database() = default;

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
  Database(const DatabaseOptions& options, std::unique_ptr<RocksStore> store)
      : options_(options), store_(std::move(store)) {}
  void drain();
  std::chrono::milliseconds step();
  void write_group(uint32_t first, uint32_t last);
  DatabaseDone& place(uint32_t number) { return places_[number % kMaxQueuedBatches]; }

  // Batches lie in a ring of places. The core fills places [polled, submitted) and stores
  // submitted_ (release); the writer loads it (acquire), does the work of all places [finished,
  // submitted), writes those whose work succeeded, leaves the results in them, and stores finished_
  // (release); the core loads that (acquire) and takes them back. So each place has one owner at a
  // time. While finished_ == submitted_ the writer touches nothing, and the core may use the store
  // itself: that is how reads and resume() do it.
  const DatabaseOptions options_;
  const std::unique_ptr<RocksStore> store_;
  std::array<DatabaseDone, kMaxQueuedBatches> places_;
  uint32_t polled_ = 0;  // core only; all three run freely
  alignas(64) std::atomic<uint32_t> submitted_{0};
  alignas(64) std::atomic<uint32_t> finished_{0};
  model::HelperThread thread_;  // last: ends before what it uses goes away
};

}  // namespace quire::tiering
