// The writer: batches lie in a ring of kMaxQueuedBatches places. The core fills places [polled,
// submitted) and stores submitted_ (release); the writer loads it (acquire), does the work of all
// places [finished, submitted), writes those whose work succeeded as one RocksDB batch, leaves the
// results in them, and stores finished_ (release); the core loads that (acquire) and takes them
// back. So each place has one owner at a time. While finished_ == submitted_ the writer touches
// nothing, and the core may use the database itself: that is how reads and resume() do it.
#include "tiering/disk/manifest.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>

#include "model/check.h"
#include "model/helper_thread.h"
#include "tiering/disk/manifest_count.h"
#include "tiering/disk/manifest_scan.h"

namespace quire::tiering {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;
using rocksdb::Status;

namespace {

constexpr size_t kProtectionBytesPerKey = 8;
constexpr std::chrono::seconds kCountInterval(1);

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

Error error_of(const Status& status, const std::string& path) {
  const std::string text = "the manifest " + path + ": " + status.ToString();
  if (lock_is_held(status)) {
    return make_error(Errc::kBusy, text + "; stop the daemon or quirectl that uses it");
  }
  if (status.IsNoSpace()) {
    return make_error(Errc::kResourceExhausted, text + "; free space on its device");
  }
  // Also a file that is named by another and absent, and another comparator than ours.
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound() ||
      status.IsInvalidArgument() || status.IsNotSupported()) {
    return make_error(Errc::kCorrupt, text + "; run `quirectl rebuild`");
  }
  return make_error(Errc::kIoError, text);
}

// What RocksDB tells of itself, on any of its threads: the first error that stopped writes, and
// bytes as they go to its files.
class Listener final : public rocksdb::EventListener {
 public:
  explicit Listener(std::string path) : path_(std::move(path)) {}

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
    record(error_of(*status, path_));
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
  const std::string path_;
  mutable std::mutex mutex_;                // of failure_
  std::optional<Error> failure_;            // first since clear()
  std::atomic<uint64_t> bytes_written_{0};  // a count: orders nothing
};

rocksdb::Env* env_of(const ManifestOptions& options) {
  return options.env != nullptr ? options.env : rocksdb::Env::Default();
}

rocksdb::Options database_options(const ManifestOptions& options) {
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
Status check_current(rocksdb::Env* env, const std::string& path, bool must_exist) {
  Status status = env->FileExists(path + "/CURRENT");
  if (!status.IsNotFound()) return status;
  std::vector<std::string> names;
  status = env->GetChildren(path, &names);
  if (!status.ok() && !status.IsNotFound() && !status.IsPathNotFound()) return status;
  for (const std::string& name : names) {
    if (name.ends_with(".sst") || name.ends_with(".log")) {
      return Status::Corruption("there is " + name + " but no CURRENT");
    }
  }
  return must_exist ? Status::NotFound("no manifest") : Status::OK();
}

// RocksDB syncs names in its directory, not its directory's name.
Status make_durable_directory(rocksdb::Env* env, const std::string& path) {
  Status status = env->CreateDirIfMissing(path);
  if (!status.ok()) return status;
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::unique_ptr<rocksdb::Directory> directory;
  status = env->NewDirectory(parent, &directory);
  return status.ok() ? directory->Fsync() : status;
}

Result<std::unique_ptr<rocksdb::DB>> open_database(const ManifestOptions& options,
                                                   const std::shared_ptr<Listener>& listener) {
  rocksdb::DB* database = nullptr;
  const Status status = caught([&] {
    rocksdb::Options settings = database_options(options);
    settings.listeners = {listener};
    Status step = check_current(settings.env, options.path, options.read_only);
    if (!step.ok()) return step;
    if (options.read_only) {
      return rocksdb::DB::OpenForReadOnly(settings, options.path, &database);
    }
    step = make_durable_directory(settings.env, options.path);
    if (!step.ok()) return step;
    return rocksdb::DB::Open(settings, options.path, &database);
  });
  if (status.ok()) return std::unique_ptr<rocksdb::DB>(database);
  Error error = error_of(status, options.path);
  if (options.read_only && status.IsNotFound() && !status.IsPathNotFound()) {
    error = make_error(Errc::kNotFound, "no manifest in " + options.path);
  }
  return error;
}

// Without CURRENT it is corrupt for every later open, so a deletion that is cut short cannot pass
// for a manifest that lost only some records.
Status destroy_database(const ManifestOptions& options) {
  rocksdb::Env* env = env_of(options);
  if (!remove_manifest_count(env, options.path)) {
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
  return status.ok() ? rocksdb::DestroyDB(options.path, database_options(options)) : status;
}

}  // namespace

class Manifest::Writer {
 public:
  Writer(ManifestOptions options, std::shared_ptr<Listener> listener,
         std::unique_ptr<rocksdb::DB> database);
  // Finishes what was submitted.
  ~Writer();

  // Core's side.
  Result<void> start();
  bool submit(ManifestBatch&& batch);
  bool poll(ManifestDone& done);
  Result<void> resume();
  Result<void> make_writable();
  const Listener& listener() const { return *listener_; }
  uint64_t missing_writes() const { return missing_writes_; }
  template <typename Scan>
  Result<void> read(Scan&& scan);

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

  ManifestDone& place(uint32_t number) { return places_[number % kMaxQueuedBatches]; }
  Error error(const Status& status) const { return error_of(status, options_.path); }

  ManifestOptions options_;  // changes while the writer has nothing to do
  const std::shared_ptr<Listener> listener_;
  std::unique_ptr<rocksdb::DB> database_;  // none after a resume() that could not open it
  uint64_t missing_writes_ = 0;
  // Of the file beside it; the writer's while it runs.
  uint64_t counted_ = 0;
  std::chrono::steady_clock::time_point counted_at_;
  std::array<ManifestDone, kMaxQueuedBatches> places_;
  uint32_t polled_ = 0;  // core only; all three run freely
  alignas(64) std::atomic<uint32_t> submitted_{0};
  alignas(64) std::atomic<uint32_t> finished_{0};
  model::HelperThread thread_;  // last: ends before what it uses goes away
};

Manifest::Writer::Writer(ManifestOptions options, std::shared_ptr<Listener> listener,
                         std::unique_ptr<rocksdb::DB> database)
    : options_(std::move(options)),
      listener_(std::move(listener)),
      database_(std::move(database)),
      counted_(read_manifest_count(env_of(options_), options_.path).value_or(0)) {
  const uint64_t found = database_->GetLatestSequenceNumber();
  missing_writes_ = counted_ > found ? counted_ - found : 0;
}

Result<void> Manifest::Writer::start() {
  return thread_.start({.name = "quire-manifest"}, [this](const auto&) { return step(); });
}

Manifest::Writer::~Writer() {
  thread_.stop();
  write_count();
  close();
}

bool Manifest::Writer::submit(ManifestBatch&& batch) {
  const uint32_t number = submitted_.load(std::memory_order_relaxed);
  if (number - polled_ == kMaxQueuedBatches) return false;
  place(number).batch = std::move(batch);
  submitted_.store(number + 1, std::memory_order_release);
  thread_.wake();
  return true;
}

bool Manifest::Writer::poll(ManifestDone& done) {
  if (polled_ == finished_.load(std::memory_order_acquire)) return false;
  done = std::exchange(place(polled_++), ManifestDone{});
  return true;
}

// Returns when the writer has nothing to do.
void Manifest::Writer::drain() {
  const uint32_t submitted = submitted_.load(std::memory_order_relaxed);
  while (true) {
    const uint32_t finished = finished_.load(std::memory_order_acquire);
    if (finished == submitted) return;
    finished_.wait(finished, std::memory_order_acquire);
  }
}

std::chrono::milliseconds Manifest::Writer::step() {
  const uint32_t finished = finished_.load(std::memory_order_relaxed);  // the writer's own
  const uint32_t submitted = submitted_.load(std::memory_order_acquire);
  if (submitted == finished) return model::HelperThread::kUntilWoken;
  write_group(finished, submitted);
  finished_.store(submitted, std::memory_order_release);
  finished_.notify_all();
  if (options_.on_done) options_.on_done();
  return model::HelperThread::kAtOnce;
}

Result<void> Manifest::Writer::check_writable() const {
  if (options_.read_only) {
    return make_error(Errc::kIoError, "the manifest " + options_.path + " is open for reading");
  }
  if (std::optional<Error> failure = listener_->failure()) return std::move(*failure);
  return {};
}

void Manifest::Writer::write_group(uint32_t first, uint32_t last) {
  Result<void> group = check_writable();
  bool any = false;
  for (uint32_t number = first; number != last; ++number) {
    ManifestDone& done = place(number);
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
Result<void> Manifest::Writer::write(uint32_t first, uint32_t last) {
  const Status status = caught([&] {
    rocksdb::WriteBatch group(0, 0, kProtectionBytesPerKey, 0);
    for (uint32_t number = first; number != last; ++number) {
      if (!place(number).result.ok()) continue;
      for (const ManifestBatch::Change& change : place(number).batch.changes_) {
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
void Manifest::Writer::write_count() {
  if (options_.read_only || database_ == nullptr || missing_writes_ > 0 || listener_->failure()) {
    return;
  }
  const uint64_t count = database_->GetLatestSequenceNumber();
  counted_at_ = std::chrono::steady_clock::now();
  if (count == counted_) return;
  (void)caught([&] {
    if (write_manifest_count(env_of(options_), options_.path, count)) counted_ = count;
    return Status::OK();
  });
}

// Writes and syncs the log; changes no record.
Status Manifest::Writer::probe() {
  return caught([this] {
    rocksdb::WriteBatch batch;
    const Status added = batch.PutLogData("probe");
    if (!added.ok()) return added;
    rocksdb::WriteOptions options;
    options.sync = true;
    return database_->Write(options, &batch);
  });
}

Result<void> Manifest::Writer::resume() {
  drain();
  if (options_.read_only) {
    return make_error(Errc::kIoError, "the manifest " + options_.path + " is open for reading");
  }
  if (database_ != nullptr && !listener_->failure()) return {};
  Result<void> resumed = reopen();
  if (resumed.ok()) {
    listener_->clear();
  } else {
    listener_->record(resumed.error());
  }
  return resumed;
}

Result<void> Manifest::Writer::make_writable() {
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
Result<void> Manifest::Writer::reopen() {
  close();
  database_ = QUIRE_TRY(open_database(options_, listener_));
  if (const Status status = probe(); !status.ok()) return error(status);
  return {};
}

void Manifest::Writer::close() {
  (void)caught([this] {
    database_.reset();
    return Status::OK();
  });
}

template <typename Scan>
Result<void> Manifest::Writer::read(Scan&& scan) {
  drain();
  if (database_ == nullptr) return make_error(Errc::kIoError, "the manifest could not be reopened");
  const Status status = caught([&] { return scan(*database_); });
  if (!status.ok()) return error(status);
  return {};
}

Result<std::unique_ptr<Manifest>> Manifest::open(const ManifestOptions& options) {
  auto listener = std::make_shared<Listener>(options.path);
  std::unique_ptr<rocksdb::DB> database = QUIRE_TRY(open_database(options, listener));
  auto writer = std::make_unique<Writer>(options, std::move(listener), std::move(database));
  QUIRE_TRY(writer->start());
  return std::unique_ptr<Manifest>(new Manifest(std::move(writer)));
}

Manifest::Manifest(std::unique_ptr<Writer> writer) : writer_(std::move(writer)) {}

Manifest::~Manifest() = default;

Result<ManifestContents> Manifest::read_roots() {
  ManifestContents contents;
  QUIRE_TRY(writer_->read([&](rocksdb::DB& db) { return scan_roots(db, contents); }));
  return contents;
}

Result<uint64_t> Manifest::read_runs(const std::function<bool(const RunRecord&)>& visit) {
  uint64_t rejected = 0;
  QUIRE_TRY(writer_->read([&](rocksdb::DB& db) { return scan_runs(db, visit, rejected); }));
  return rejected;
}

bool Manifest::submit(ManifestBatch&& batch) {
  if (!writer_->submit(std::move(batch))) return false;
  ++in_flight_;
  return true;
}

std::vector<ManifestDone> Manifest::poll() {
  std::vector<ManifestDone> done;
  for (ManifestDone next; writer_->poll(next);) done.push_back(std::move(next));
  in_flight_ -= done.size();
  return done;
}

Result<void> Manifest::resume() { return writer_->resume(); }

Result<void> Manifest::make_writable() { return writer_->make_writable(); }

std::string Manifest::failure() const {
  const std::optional<Error> failure = writer_->listener().failure();
  return failure ? failure->text : std::string();
}

uint64_t Manifest::missing_writes() const { return writer_->missing_writes(); }

uint64_t Manifest::bytes_written() const { return writer_->listener().bytes_written(); }

Result<void> Manifest::destroy(const ManifestOptions& options) {
  const Status status = caught([&] { return destroy_database(options); });
  if (!status.ok()) return error_of(status, options.path);
  // Its destruction is whole only when an empty one has taken its place.
  QUIRE_TRY(open(options));
  return {};
}

}  // namespace quire::tiering
