// RocksDB with one writer: what is written is written and synced at once, an error stops it for
// good until it is opened anew, and what was durable once is missed when it is gone.
//
//   open --> writes --write fails--> failed --resume--> writes
//   open read_only, or absent --make_writable--^
//
// 1. A write that failed is not tried again (fail-stop): RocksDB refuses writes from then on, and
//    so does this.
// 2. A log that was emptied looks like one that never held more. How many changes there were stands
//    in a file beside it (database_count.h), written a second late at most, and never after a
//    failure.
// Threads: any one at a time, but for failure(), missing_writes() and bytes_written(): any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "model/result.h"
#include "tiering/database/database_batch.h"
#include "tiering/database/database_options.h"
#include "tiering/database/database_scan.h"

namespace rocksdb {
class DB;
class Status;
}  // namespace rocksdb

namespace quire::tiering {

class RocksStore {
 public:
  // Errors of Database::open().
  static model::Result<std::unique_ptr<RocksStore>> open(const DatabaseOptions& options);
  ~RocksStore();

  // Why nothing can be written now: it was opened read_only, or failure(). ok: it can.
  model::Result<void> check_writable() const;
  // One synced write of all their changes. Its error is failure() from then on. Precondition:
  // check_writable().
  model::Result<void> write(std::span<const DatabaseBatch* const> batches);
  // As Database's.
  model::Result<void> read(
      const std::function<model::Result<void>(const DatabaseReader&)>& work) const;
  model::Result<void> resume();
  model::Result<void> make_writable();

  // The first error since it was opened, or resumed, that stopped writes.
  std::optional<model::Error> failure() const;
  uint64_t missing_writes() const { return missing_writes_; }
  // They are written down for good elsewhere: the file beside it goes on from what is there.
  void accept_missing();
  uint64_t bytes_written() const;

  // As Database's; leaves an empty one.
  static model::Result<void> destroy(const DatabaseOptions& options);

 private:
  class Listener;
  RocksStore(const DatabaseOptions& options, std::shared_ptr<Listener> listener,
             std::unique_ptr<rocksdb::DB> database, uint64_t counted);
  void count();
  rocksdb::Status probe();
  model::Result<void> reopen();
  void close();

  DatabaseOptions options_;
  const std::shared_ptr<Listener> listener_;  // RocksDB's threads call it
  std::unique_ptr<rocksdb::DB> database_;     // none: absent, or a resume() could not open it
  uint64_t counted_ = 0;                      // what the file beside it says
  std::chrono::steady_clock::time_point counted_at_;
  uint64_t missing_writes_ = 0;
  bool missing_accepted_ = false;
};

}  // namespace quire::tiering
