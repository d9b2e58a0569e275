// The writer: batches lie in a ring of kMaxQueuedBatches places. The core fills places [polled,
// submitted) and stores submitted_ (release); the writer loads it (acquire), does the work of all
// places [finished, submitted), writes those whose work succeeded as one RocksDB batch, leaves the
// results in them, and stores finished_ (release); the core loads that (acquire) and takes them
// back. So each place has one owner at a time. While finished_ == submitted_ the writer touches
// nothing, and the core may use the database itself: that is how reads and resume() do it.
#include "tiering/io/database.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>

#include "model/check.h"
#include "model/helper_thread.h"
#include "tiering/io/database_count.h"

namespace quire::tiering {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;
using rocksdb::Slice;
using rocksdb::Status;

namespace {

constexpr size_t kProtectionBytesPerKey = 8;
constexpr std::chrono::seconds kCountInterval(1);
constexpr size_t kReadaheadBytes = 2 << 20;

// RocksDB does not promise to throw nothing, memory being short for one.
template <typename Call>
Status caught(Call&& call) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return Status::Aborted("exception", exception.what());
  } catch (...) {
    return Status::Aborted("exception", "of an unknown type");
  }
}

bool lock_is_held(const Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && text.find("lock") != std::string::npos &&
         (text.find("Resource temporarily unavailable") != std::string::npos ||
          text.find("lock hold by current process") != std::string::npos);
}

Error error_of(const Status& status, const DatabaseOptions& options) {
  const std::string text = "the " + options.name + " " + options.path + ": " + status.ToString();
  if (lock_is_held(status)) {
    return make_error(Errc::kBusy, text + "; stop the daemon or quirectl that uses it");
  }
  if (status.IsNoSpace()) {
    return make_error(Errc::kResourceExhausted, text + "; free space on its device");
  }
  // Also a file that is named by another and absent, and another comparator than ours.
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
      status.IsInvalidArgument() || status.IsNotSupported()) {
    return make_error(Errc::kCorrupt, options.repair.empty() ? text : text + "; " + options.repair);
  }
  // RocksDB tells descriptors that ran out from a device that failed in its text alone.
  const bool descriptors = text.find(std::strerror(EMFILE)) != std::string::npos;
  return make_error(Errc::kIoError,
                    descriptors ? text + "; raise the limit (ulimit -n, RLIMIT_NOFILE)" : text);
}

// What RocksDB tells of itself, on any of its threads: the first error that stopped writes, and
// bytes as they go to its files.
class Listener final : public rocksdb::EventListener {
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

rocksdb::Env* env_of(const DatabaseOptions& options) {
  return options.env != nullptr ? options.env : rocksdb::Env::Default();
}

rocksdb::Options settings_of(const DatabaseOptions& options) {
  rocksdb::Options result;
  result.env = env_of(options);
  result.create_if_missing = !options.read_only;
  // Trust nothing on the device.
  result.paranoid_checks = true;
  result.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  result.track_and_verify_wals_in_manifest = true;
  result.verify_sst_unique_id_in_manifest = true;
  result.max_bgerror_resume_count = 0;
  // Tens of megabytes, written in small batches, read whole at start: no cache, no filters, and
  // hashes do not compress.
  result.write_buffer_size = 8 << 20;
  result.max_open_files = 64;
  result.max_file_opening_threads = 1;
  result.max_background_jobs = 2;
  result.compression = rocksdb::kNoCompression;
  result.max_manifest_file_size = 4 << 20;
  result.manifest_preallocation_size = 64 << 10;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.block_size = 32 << 10;
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // A small log of warnings; no thread that dumps statistics.
  result.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  result.keep_log_file_num = 2;
  result.max_log_file_size = 1 << 20;
  result.stats_dump_period_sec = 0;
  result.stats_persist_period_sec = 0;
  return result;
}

// RocksDB takes a directory without CURRENT for a new one, and deletes what lies there. Before
// CURRENT is durable it writes neither tables nor logs.
Status check_current(const DatabaseOptions& options) {
  rocksdb::Env* env = env_of(options);
  Status status = env->FileExists(options.path + "/CURRENT");
  if (!status.IsNotFound()) return status;
  std::vector<std::string> names;
  status = env->GetChildren(options.path, &names);
  if (!status.ok() && !status.IsNotFound() && !status.IsPathNotFound()) return status;
  for (const std::string& name : names) {
    if (name.ends_with(".sst") || name.ends_with(".log")) {
      return Status::Corruption("there is " + name + " but no CURRENT");
    }
  }
  return options.read_only ? Status::NotFound("no " + options.name) : Status::OK();
}

Status sync_parent(rocksdb::Env* env, const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::unique_ptr<rocksdb::Directory> directory;
  const Status status = env->NewDirectory(parent, &directory);
  return status.ok() ? directory->Fsync() : status;
}

// RocksDB syncs names in its directory, not its directory's name.
Status make_durable_directory(rocksdb::Env* env, const std::string& path) {
  const Status status = env->CreateDirIfMissing(path);
  return status.ok() ? sync_parent(env, path) : status;
}

std::optional<uint64_t> read_count(rocksdb::Env* env, const std::string& path) {
  std::string bytes;
  if (!rocksdb::ReadFileToString(env, path + kDatabaseCountSuffix, &bytes).ok()) return {};
  return parse_count_file(bytes);
}

// False: it says what it said before, or nothing.
bool write_count_file(rocksdb::Env* env, const std::string& path, uint64_t count) {
  const std::string name = path + kDatabaseCountSuffix;
  // The name is not synced: an earlier count is a bound as well, only a weaker one.
  return rocksdb::WriteStringToFile(env, count_file_bytes(count), name + ".new",
                                    /*should_sync=*/true)
             .ok() &&
         env->RenameFile(name + ".new", name).ok();
}

// Durable when it returns true; also when there was none.
bool remove_count(rocksdb::Env* env, const std::string& path) {
  const std::string name = path + kDatabaseCountSuffix;
  if (env->FileExists(name).IsNotFound()) return true;
  return env->DeleteFile(name).ok() && sync_parent(env, name).ok();
}

Result<std::unique_ptr<rocksdb::DB>> open_rocksdb(const DatabaseOptions& options,
                                                  const std::shared_ptr<Listener>& listener) {
  rocksdb::DB* database = nullptr;
  const Status status = caught([&] {
    rocksdb::Options settings = settings_of(options);
    settings.listeners = {listener};
    Status step = check_current(options);
    if (!step.ok()) return step;
    if (options.read_only) {
      return rocksdb::DB::OpenForReadOnly(settings, options.path, &database);
    }
    step = make_durable_directory(settings.env, options.path);
    if (!step.ok()) return step;
    return rocksdb::DB::Open(settings, options.path, &database);
  });
  if (status.ok()) return std::unique_ptr<rocksdb::DB>(database);
  Error error = error_of(status, options);
  if (options.read_only && status.IsNotFound() && !status.IsPathNotFound()) {
    error = make_error(Errc::kNotFound, "no " + options.name + " in " + options.path);
  }
  return error;
}

// Without CURRENT it is corrupt for every later open, so a deletion that is cut short cannot pass
// for a database that lost only some records.
Status destroy_files(const DatabaseOptions& options) {
  rocksdb::Env* env = env_of(options);
  if (!remove_count(env, options.path)) {
    return Status::IOError("its count cannot be removed");
  }
  if (env->FileExists(options.path).IsNotFound()) return Status::OK();
  rocksdb::FileLock* lock = nullptr;
  Status status = env->LockFile(options.path + "/LOCK", &lock);
  if (!status.ok()) return status;
  status = env->DeleteFile(options.path + "/CURRENT");
  if (status.IsNotFound() || status.IsPathNotFound()) status = Status::OK();
  std::unique_ptr<rocksdb::Directory> directory;
  if (status.ok()) status = env->NewDirectory(options.path, &directory);
  if (status.ok()) status = directory->Fsync();
  const Status unlocked = env->UnlockFile(lock);
  if (status.ok()) status = unlocked;
  return status.ok() ? rocksdb::DestroyDB(options.path, settings_of(options)) : status;
}

}  // namespace

class Database::Writer {
 public:
  Writer(DatabaseOptions options, std::shared_ptr<Listener> listener,
         std::unique_ptr<rocksdb::DB> database);
  // Finishes what was submitted.
  ~Writer();

  // Core's side.
  Result<void> start();
  bool submit(DatabaseBatch&& batch);
  std::vector<DatabaseDone> poll();
  size_t in_flight() const { return submitted_.load(std::memory_order_relaxed) - polled_; }
  Result<void> resume();
  Result<void> make_writable();
  const Listener& listener() const { return *listener_; }
  uint64_t missing_writes() const { return missing_writes_; }
  Result<void> read(const std::function<Result<void>(const DatabaseReader&)>& work);

 private:
  void drain();
  std::chrono::milliseconds step();
  Result<void> check_writable() const;
  void write_group(uint32_t first, uint32_t last);
  Result<void> write(uint32_t first, uint32_t last);
  void write_count();
  Status probe();
  Result<void> reopen();
  void close();

  DatabaseDone& place(uint32_t number) { return places_[number % kMaxQueuedBatches]; }
  Error opened_for_reading() const {
    return make_error(Errc::kIoError,
                      "the " + options_.name + " " + options_.path + " is open for reading");
  }
  Error error(const Status& status) const { return error_of(status, options_); }

  DatabaseOptions options_;  // changes while the writer has nothing to do
  const std::shared_ptr<Listener> listener_;
  std::unique_ptr<rocksdb::DB> database_;  // none after a resume() that could not open it
  uint64_t missing_writes_ = 0;
  // Of the file beside it; the writer's while it runs.
  uint64_t counted_ = 0;
  std::chrono::steady_clock::time_point counted_at_;
  std::array<DatabaseDone, kMaxQueuedBatches> places_;
  uint32_t polled_ = 0;  // core only; all three run freely
  alignas(64) std::atomic<uint32_t> submitted_{0};
  alignas(64) std::atomic<uint32_t> finished_{0};
  model::HelperThread thread_;  // last: ends before what it uses goes away
};

Database::Writer::Writer(DatabaseOptions options, std::shared_ptr<Listener> listener,
                         std::unique_ptr<rocksdb::DB> database)
    : options_(std::move(options)),
      listener_(std::move(listener)),
      database_(std::move(database)),
      counted_(read_count(env_of(options_), options_.path).value_or(0)) {
  const uint64_t found = database_->GetLatestSequenceNumber();
  missing_writes_ = counted_ > found ? counted_ - found : 0;
}

Result<void> Database::Writer::start() {
  return thread_.start({.name = options_.thread_name, .on_caller = options_.on_caller},
                       [this](const auto&) { return step(); });
}

Database::Writer::~Writer() {
  thread_.stop();
  write_count();
  close();
}

bool Database::Writer::submit(DatabaseBatch&& batch) {
  const uint32_t number = submitted_.load(std::memory_order_relaxed);
  if (number - polled_ == kMaxQueuedBatches) return false;
  place(number).batch = std::move(batch);
  submitted_.store(number + 1, std::memory_order_release);
  thread_.wake();
  return true;
}

std::vector<DatabaseDone> Database::Writer::poll() {
  std::vector<DatabaseDone> done;
  for (const uint32_t end = finished_.load(std::memory_order_acquire); polled_ != end; ++polled_) {
    done.push_back(std::exchange(place(polled_), DatabaseDone{}));
  }
  return done;
}

// Returns when the writer has nothing to do.
void Database::Writer::drain() {
  const uint32_t submitted = submitted_.load(std::memory_order_relaxed);
  while (true) {
    const uint32_t finished = finished_.load(std::memory_order_acquire);
    if (finished == submitted) return;
    finished_.wait(finished, std::memory_order_acquire);
  }
}

std::chrono::milliseconds Database::Writer::step() {
  const uint32_t finished = finished_.load(std::memory_order_relaxed);  // the writer's own
  const uint32_t submitted = submitted_.load(std::memory_order_acquire);
  if (submitted == finished) return model::HelperThread::kUntilWoken;
  write_group(finished, submitted);
  finished_.store(submitted, std::memory_order_release);
  finished_.notify_all();
  if (options_.on_done) options_.on_done();
  return model::HelperThread::kAtOnce;
}

Result<void> Database::Writer::check_writable() const {
  if (options_.read_only) return opened_for_reading();
  if (std::optional<Error> failure = listener_->failure()) return std::move(*failure);
  return {};
}

void Database::Writer::write_group(uint32_t first, uint32_t last) {
  Result<void> group = check_writable();
  bool any = false;
  for (uint32_t number = first; number != last; ++number) {
    DatabaseDone& done = place(number);
    done.result = group.ok() && done.batch.work_ ? done.batch.work_() : group;
    any = any || done.result.ok();
  }
  if (!any) return;
  group = write(first, last);
  if (group.ok()) {
    if (std::chrono::steady_clock::now() - counted_at_ >= kCountInterval) write_count();
    return;
  }
  listener_->record(group.error());
  for (uint32_t number = first; number != last; ++number) {
    if (place(number).result.ok()) place(number).result = group;
  }
}

// Those whose result is ok so far.
Result<void> Database::Writer::write(uint32_t first, uint32_t last) {
  const Status status = caught([&] {
    rocksdb::WriteBatch group(0, 0, kProtectionBytesPerKey, 0);
    for (uint32_t number = first; number != last; ++number) {
      if (!place(number).result.ok()) continue;
      for (const DatabaseBatch::Change& change : place(number).batch.changes_) {
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
  if (!status.ok()) return error(status);
  return {};
}

// After what it counts is durable. One that cannot be written is only older than it could be; one
// that says what is missing stays.
void Database::Writer::write_count() {
  if (options_.read_only || database_ == nullptr || missing_writes_ > 0 || listener_->failure()) {
    return;
  }
  const uint64_t count = database_->GetLatestSequenceNumber();
  counted_at_ = std::chrono::steady_clock::now();
  if (count == counted_) return;
  (void)caught([&] {
    if (write_count_file(env_of(options_), options_.path, count)) counted_ = count;
    return Status::OK();
  });
}

// Writes and syncs the log; changes no record.
Status Database::Writer::probe() {
  return caught([this] {
    rocksdb::WriteBatch batch;
    const Status added = batch.PutLogData("probe");
    if (!added.ok()) return added;
    rocksdb::WriteOptions options;
    options.sync = true;
    return database_->Write(options, &batch);
  });
}

Result<void> Database::Writer::resume() {
  drain();
  if (options_.read_only) return opened_for_reading();
  if (database_ != nullptr && !listener_->failure()) return {};
  Result<void> resumed = reopen();
  if (resumed.ok()) {
    listener_->clear();
  } else {
    listener_->record(resumed.error());
  }
  return resumed;
}

Result<void> Database::Writer::make_writable() {
  drain();
  if (!options_.read_only) return resume();
  options_.read_only = false;
  Result<void> opened = reopen();
  if (!opened.ok()) listener_->record(opened.error());
  return opened;
}

// Not DB::Resume(): it goes on with a log whose write failed when no record came after it, which
// an assertion in Debian's build ends the process for, and it refuses after a failed fsync. Opening
// anew has new files, and nothing is synced twice.
Result<void> Database::Writer::reopen() {
  close();
  database_ = QUIRE_TRY(open_rocksdb(options_, listener_));
  if (const Status status = probe(); !status.ok()) return error(status);
  return {};
}

void Database::Writer::close() {
  (void)caught([this] {
    database_.reset();
    return Status::OK();
  });
}

Result<void> Database::Writer::read(
    const std::function<Result<void>(const DatabaseReader&)>& work) {
  drain();
  if (database_ == nullptr) {
    return make_error(Errc::kIoError, "the " + options_.name + " could not be reopened");
  }
  Result<void> result;
  const Status status = caught([&] {
    result = work(DatabaseReader(database_.get(), &options_));
    return Status::OK();
  });
  if (!status.ok()) return error(status);
  return result;
}

// Never moves: the iterator keeps the address of its bound, and that the address of its bytes.
struct DatabaseScan::Pass {
  Pass(rocksdb::DB* database, const DatabaseOptions* its_options, std::string to)
      : options(its_options), end(std::move(to)), upper_bound(end) {
    rocksdb::ReadOptions reading;
    reading.fill_cache = false;
    reading.readahead_size = kReadaheadBytes;
    reading.iterate_upper_bound = &upper_bound;
    iterator.reset(database->NewIterator(reading));
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  Result<void> result() const {
    if (!iterator->status().ok()) return error_of(iterator->status(), *options);
    return {};
  }

  const DatabaseOptions* const options;
  const std::string end;
  const Slice upper_bound;
  std::unique_ptr<rocksdb::Iterator> iterator;
};

DatabaseScan::DatabaseScan(std::unique_ptr<Pass> pass) : pass_(std::move(pass)) {}
DatabaseScan::DatabaseScan(DatabaseScan&&) noexcept = default;
DatabaseScan::~DatabaseScan() = default;

bool DatabaseScan::valid() const { return pass_->iterator->Valid(); }

void DatabaseScan::next() { pass_->iterator->Next(); }

std::string_view DatabaseScan::key() const { return pass_->iterator->key().ToStringView(); }

std::string_view DatabaseScan::value() const { return pass_->iterator->value().ToStringView(); }

Result<void> DatabaseScan::result() const { return pass_->result(); }

DatabaseScan DatabaseReader::scan(std::string from, std::string to) const {
  auto pass = std::make_unique<DatabaseScan::Pass>(database_, options_, std::move(to));
  pass->iterator->Seek(from);
  return DatabaseScan(std::move(pass));
}

DatabaseScan DatabaseReader::scan_prefix(char prefix) const {
  return scan(std::string(1, prefix), std::string(1, static_cast<char>(prefix + 1)));
}

Result<std::optional<std::string>> DatabaseReader::last_key(std::string from,
                                                            std::string to) const {
  DatabaseScan::Pass pass(database_, options_, std::move(to));
  pass.iterator->SeekToLast();  // below the bound
  QUIRE_TRY(pass.result());
  if (!pass.iterator->Valid() || pass.iterator->key().compare(from) < 0) {
    return std::optional<std::string>();
  }
  return std::optional(pass.iterator->key().ToString());
}

Result<std::unique_ptr<Database>> Database::open(const DatabaseOptions& options) {
  auto listener = std::make_shared<Listener>(options);
  std::unique_ptr<rocksdb::DB> database = QUIRE_TRY(open_rocksdb(options, listener));
  auto writer = std::make_unique<Writer>(options, std::move(listener), std::move(database));
  QUIRE_TRY(writer->start());
  return std::unique_ptr<Database>(new Database(std::move(writer)));
}

Database::Database(std::unique_ptr<Writer> writer) : writer_(std::move(writer)) {}

Database::~Database() = default;

Result<void> Database::read(const std::function<Result<void>(const DatabaseReader&)>& work) {
  return writer_->read(work);
}

bool Database::submit(DatabaseBatch&& batch) { return writer_->submit(std::move(batch)); }

std::vector<DatabaseDone> Database::poll() { return writer_->poll(); }

size_t Database::in_flight() const { return writer_->in_flight(); }

Result<void> Database::resume() { return writer_->resume(); }

Result<void> Database::make_writable() { return writer_->make_writable(); }

std::string Database::failure() const {
  const std::optional<Error> failure = writer_->listener().failure();
  return failure ? failure->text : std::string();
}

uint64_t Database::missing_writes() const { return writer_->missing_writes(); }

uint64_t Database::bytes_written() const { return writer_->listener().bytes_written(); }

Result<void> Database::destroy(const DatabaseOptions& options) {
  const Status status = caught([&] { return destroy_files(options); });
  if (!status.ok()) return error_of(status, options);
  // Its destruction is whole only when an empty one has taken its place.
  QUIRE_TRY(open(options));
  return {};
}

}  // namespace quire::tiering
