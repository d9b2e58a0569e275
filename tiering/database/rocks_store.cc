#include "tiering/database/rocks_store.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "tiering/database/database_count.h"
#include "tiering/database/rocks_files.h"
#include "tiering/database/rocks_status.h"

namespace quire::tiering {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;
using rocksdb::Status;

namespace {

constexpr size_t kProtectionBytesPerKey = 8;
constexpr std::chrono::seconds kCountInterval(1);

}  // namespace

// What RocksDB tells of itself, on any of its threads: the first error that stopped writes, and
// bytes as they go to its files.
class RocksStore::Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(DatabaseOptions options) : options_(std::move(options)) {}

  void record(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = error;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    failure_.reset();
  }
  std::optional<Error> failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }
  uint64_t bytes_written() const { return bytes_written_.load(std::memory_order_relaxed); }

  void OnBackgroundError(rocksdb::BackgroundErrorReason, Status* status) override {
    record(error_of(*status, options_));
  }
  // Recovery is resume()'s: no thread of RocksDB tries behind our back.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, Status, bool* automatic) override {
    *automatic = false;
  }
  bool ShouldBeNotifiedOnFileIO() override { return true; }
  void OnFileWriteFinish(const rocksdb::FileOperationInfo& info) override {
    if (info.status.ok()) bytes_written_.fetch_add(info.length, std::memory_order_relaxed);
  }

 private:
  const DatabaseOptions options_;           // for texts
  mutable std::mutex mutex_;                // of failure_
  std::optional<Error> failure_;            // first since clear()
  std::atomic<uint64_t> bytes_written_{0};  // a count: orders nothing
};

Result<std::unique_ptr<RocksStore>> RocksStore::open(const DatabaseOptions& options) {
  auto listener = std::make_shared<Listener>(options);
  std::unique_ptr<rocksdb::DB> database;
  // Before it is opened: whoever has it open for writing goes on with both.
  const uint64_t counted =
      options.absent ? 0 : read_count(env_of(options), options.path).value_or(0);
  if (!options.absent) database = QUIRE_TRY(open_rocksdb(options, listener));
  return std::unique_ptr<RocksStore>(
      new RocksStore(options, std::move(listener), std::move(database), counted));
}

RocksStore::RocksStore(const DatabaseOptions& options, std::shared_ptr<Listener> listener,
                       std::unique_ptr<rocksdb::DB> database, uint64_t counted)
    : options_(options),
      listener_(std::move(listener)),
      database_(std::move(database)),
      counted_(counted) {
  if (database_ == nullptr) return;
  const uint64_t found = database_->GetLatestSequenceNumber();
  missing_writes_ = counted_ > found ? counted_ - found : 0;
}

RocksStore::~RocksStore() {
  count();
  close();
}

Result<void> RocksStore::check_writable() const {
  if (options_.read_only) {
    return make_error(Errc::kIoError, text_of(options_) + " is open for reading");
  }
  if (std::optional<Error> failure = listener_->failure()) return std::move(*failure);
  return {};
}

Result<void> RocksStore::write(std::span<const DatabaseBatch* const> batches) {
  const Status status = caught([&] {
    rocksdb::WriteBatch group(0, 0, kProtectionBytesPerKey, 0);
    for (const DatabaseBatch* batch : batches) {
      for (const DatabaseBatch::Change& change : batch->changes()) {
        const Status added =
            change.erase ? group.Delete(change.key) : group.Put(change.key, change.value);
        if (!added.ok()) return added;
      }
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    options.protection_bytes_per_key = kProtectionBytesPerKey;
    return database_->Write(options, &group);
  });
  if (!status.ok()) {
    Error error = error_of(status, options_);
    listener_->record(error);
    return error;
  }
  if (std::chrono::steady_clock::now() - counted_at_ >= kCountInterval) count();
  return {};
}

void RocksStore::accept_missing() {
  missing_accepted_ = true;
  count();
}

// After what it counts is durable. One that cannot be written is only older than it could be; one
// that says what is missing stays.
void RocksStore::count() {
  const bool keeps_missing = missing_writes_ > 0 && !missing_accepted_;
  if (options_.read_only || database_ == nullptr || keeps_missing || listener_->failure()) return;
  const uint64_t changes = database_->GetLatestSequenceNumber();
  counted_at_ = std::chrono::steady_clock::now();
  if (changes == counted_) return;
  (void)caught([&] {
    if (write_count(env_of(options_), options_.path, changes)) counted_ = changes;
    return Status::OK();
  });
}

// Writes and syncs the log; changes no record.
Status RocksStore::probe() {
  return caught([this] {
    rocksdb::WriteBatch batch;
    const Status added = batch.PutLogData("probe");
    if (!added.ok()) return added;
    rocksdb::WriteOptions options;
    options.sync = true;
    return database_->Write(options, &batch);
  });
}

Result<void> RocksStore::resume() {
  if (options_.read_only) return check_writable();
  if (database_ != nullptr && !listener_->failure()) return {};
  Result<void> resumed = reopen();
  if (resumed.ok()) {
    listener_->clear();
  } else {
    listener_->record(resumed.error());
  }
  return resumed;
}

Result<void> RocksStore::make_writable() {
  if (!options_.read_only) return resume();
  options_.read_only = options_.absent = false;
  Result<void> opened = reopen();
  if (!opened.ok()) listener_->record(opened.error());
  return opened;
}

// Not DB::Resume(): it goes on with a log whose write failed when no record came after it, which
// an assertion in Debian's build ends the process for, and it refuses after a failed fsync. Opening
// anew has new files, and nothing is synced twice.
Result<void> RocksStore::reopen() {
  close();
  database_ = QUIRE_TRY(open_rocksdb(options_, listener_));
  if (const Status status = probe(); !status.ok()) return error_of(status, options_);
  return {};
}

void RocksStore::close() {
  (void)caught([this] {
    database_.reset();
    return Status::OK();
  });
}

Result<void> RocksStore::read(
    const std::function<Result<void>(const DatabaseReader&)>& work) const {
  if (options_.absent) return {};
  if (database_ == nullptr) {
    return make_error(Errc::kIoError, "the " + options_.name + " could not be reopened");
  }
  Result<void> result;
  const Status status = caught([&] {
    result = work(DatabaseReader(database_.get(), &options_));
    return Status::OK();
  });
  if (!status.ok()) return error_of(status, options_);
  return result;
}

std::optional<Error> RocksStore::failure() const { return listener_->failure(); }

uint64_t RocksStore::bytes_written() const { return listener_->bytes_written(); }

Result<void> RocksStore::destroy(const DatabaseOptions& options) {
  const Status status = caught([&] {
    // A count of what is destroyed would say of the new one that it lacks all of that.
    if (!remove_count(env_of(options), options.path)) {
      return Status::IOError("its count cannot be removed");
    }
    return destroy_rocksdb(options);
  });
  if (!status.ok()) return error_of(status, options);
  // Its destruction is whole only when an empty one has taken its place.
  QUIRE_TRY(open(options));
  return {};
}

}  // namespace quire::tiering
