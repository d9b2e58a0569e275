#include "tests/support/faulty_file_system.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

namespace quire::tests {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Shared by the file system and every file opened through it.
struct FileFaults {
  struct Plan {
    std::optional<FileOperation> operation;  // none: any but kRead
    uint64_t nth = 0;
    int error = 0;
    bool for_good = false;
    uint64_t seen = 0;
    uint64_t failures = 0;
    bool lifted = true;
  };

  // Counts, and says whether the operation may go on.
  IOStatus begin(FileOperation operation) {
    const std::lock_guard lock(mutex);
    ++counts[static_cast<size_t>(operation)];
    const bool meant =
        plan.operation ? *plan.operation == operation : operation != FileOperation::kRead;
    if (plan.lifted || !meant) return IOStatus::OK();
    ++plan.seen;
    if (plan.seen < plan.nth || (plan.seen > plan.nth && !plan.for_good)) return IOStatus::OK();
    ++plan.failures;
    if (plan.error != ENOSPC) return IOStatus::IOError("injected", std::strerror(plan.error));
    // As RocksDB's own file system reports it.
    IOStatus status = IOStatus::NoSpace("injected", std::strerror(plan.error));
    status.SetRetryable(true);
    return status;
  }

  IOStatus end(IOStatus status, const FileEvent& event) {
    if (!status.ok()) return status;
    const std::lock_guard lock(hook_mutex);
    if (hook) hook(event);
    return status;
  }

  // An operation that is one call on the real file system.
  template <typename Call>
  IOStatus run(const FileEvent& event, Call&& call) {
    IOStatus status = begin(event.operation);
    return status.ok() ? end(call(), event) : status;
  }
  template <typename Call>
  IOStatus run_sync(const FileEvent& event, Call&& call) {
    return run(event, [&] { return skip_syncs ? IOStatus::OK() : call(); });
  }

  std::mutex mutex;  // of counts and plan
  std::array<uint64_t, kFileOperationCount> counts{};
  Plan plan;
  bool skip_syncs = false;  // set before use
  std::mutex hook_mutex;    // of hook; held while it runs
  std::function<void(const FileEvent&)> hook;
};

namespace {

class FaultyWritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyWritableFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::string path,
                     uint64_t offset, std::shared_ptr<FileFaults> faults)
      : FSWritableFileOwnerWrapper(std::move(file)),
        path_(std::move(path)),
        offset_(offset),
        faults_(std::move(faults)) {}

  using FSWritableFileOwnerWrapper::PositionedAppend;
  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    IOStatus status = faults_->begin(FileOperation::kAppend);
    const bool whole = status.ok();
    const Slice part(data.data(), whole ? data.size() : data.size() / 2);
    const IOStatus appended =
        faults_->end(target()->Append(part, options, debug), {.operation = FileOperation::kAppend,
                                                              .path = path_,
                                                              .offset = offset_,
                                                              .data = {part.data(), part.size()}});
    if (appended.ok()) offset_ += part.size();
    return whole ? appended : status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    const IOStatus status =
        faults_->run({.operation = FileOperation::kTruncate, .path = path_, .offset = size},
                     [&] { return target()->Truncate(size, options, debug); });
    if (status.ok()) offset_ = size;
    return status;
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    const IOStatus status = faults_->run({.operation = FileOperation::kClose, .path = path_},
                                         [&] { return target()->Close(options, debug); });
    return status;
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return faults_->run_sync({.operation = FileOperation::kSync, .path = path_},
                             [&] { return target()->Sync(options, debug); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return faults_->run_sync({.operation = FileOperation::kSync, .path = path_},
                             [&] { return target()->Fsync(options, debug); });
  }
  // Preallocation, for a device.
  void PrepareWrite(size_t offset, size_t bytes, const IOOptions& options,
                    IODebugContext* debug) override {
    if (!faults_->skip_syncs) target()->PrepareWrite(offset, bytes, options, debug);
  }

 private:
  const std::string path_;
  uint64_t offset_;
  const std::shared_ptr<FileFaults> faults_;
};

class FaultyDirectory final : public rocksdb::FSDirectory {
 public:
  FaultyDirectory(std::unique_ptr<rocksdb::FSDirectory>&& directory, std::string path,
                  std::shared_ptr<FileFaults> faults)
      : directory_(std::move(directory)), path_(std::move(path)), faults_(std::move(faults)) {}
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return faults_->run_sync({.operation = FileOperation::kSyncDirectory, .path = path_},
                             [&] { return directory_->Fsync(options, debug); });
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& kind) override {
    return faults_->run_sync({.operation = FileOperation::kSyncDirectory, .path = path_},
                             [&] { return directory_->FsyncWithDirOptions(options, debug, kind); });
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return directory_->Close(options, debug);
  }
  size_t GetUniqueId(char* id, size_t max_size) const override {
    return directory_->GetUniqueId(id, max_size);
  }

 private:
  const std::unique_ptr<rocksdb::FSDirectory> directory_;
  const std::string path_;
  const std::shared_ptr<FileFaults> faults_;
};

class FaultySequentialFile final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  FaultySequentialFile(std::unique_ptr<rocksdb::FSSequentialFile>&& file,
                       std::shared_ptr<FileFaults> faults)
      : FSSequentialFileOwnerWrapper(std::move(file)), faults_(std::move(faults)) {}
  IOStatus Read(size_t bytes, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* debug) override {
    IOStatus status = faults_->begin(FileOperation::kRead);
    return status.ok() ? target()->Read(bytes, options, result, scratch, debug) : status;
  }

 private:
  const std::shared_ptr<FileFaults> faults_;
};

class FaultyRandomAccessFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultyRandomAccessFile(std::unique_ptr<rocksdb::FSRandomAccessFile>&& file,
                         std::shared_ptr<FileFaults> faults)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), faults_(std::move(faults)) {}
  IOStatus Read(uint64_t offset, size_t bytes, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* debug) const override {
    IOStatus status = faults_->begin(FileOperation::kRead);
    return status.ok() ? target()->Read(offset, bytes, options, result, scratch, debug) : status;
  }

 private:
  const std::shared_ptr<FileFaults> faults_;
};

class Wrapper final : public rocksdb::FileSystemWrapper {
 public:
  explicit Wrapper(std::shared_ptr<FileFaults> faults)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(std::move(faults)) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const IOStatus status = faults_->run({.operation = FileOperation::kCreate, .path = path}, [&] {
      return target_->NewWritableFile(path, options, &file, debug);
    });
    return wrap(status, std::move(file), path, 0, result);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const IOStatus status = target_->ReopenWritableFile(path, options, &file, debug);
    const uint64_t size = status.ok() ? file->GetFileSize(IOOptions(), debug) : 0;
    return wrap(status, std::move(file), path, size, result);
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* result,
                        IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSDirectory> directory;
    IOStatus status = target_->NewDirectory(path, options, &directory, debug);
    if (status.ok()) {
      result->reset(new FaultyDirectory(std::move(directory), path, faults_));
    }
    return status;
  }
  IOStatus NewSequentialFile(const std::string& path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    IOStatus status = target_->NewSequentialFile(path, options, &file, debug);
    if (status.ok()) result->reset(new FaultySequentialFile(std::move(file), faults_));
    return status;
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    IOStatus status = target_->NewRandomAccessFile(path, options, &file, debug);
    if (status.ok()) result->reset(new FaultyRandomAccessFile(std::move(file), faults_));
    return status;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* debug) override {
    return faults_->run({.operation = FileOperation::kRename, .path = from, .target = to},
                        [&] { return target_->RenameFile(from, to, options, debug); });
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions& options,
                      IODebugContext* debug) override {
    return faults_->run({.operation = FileOperation::kDelete, .path = path},
                        [&] { return target_->DeleteFile(path, options, debug); });
  }
  IOStatus Truncate(const std::string& path, size_t size, const IOOptions& options,
                    IODebugContext* debug) override {
    return faults_->run({.operation = FileOperation::kTruncate, .path = path, .offset = size},
                        [&] { return target_->Truncate(path, size, options, debug); });
  }
  IOStatus CreateDir(const std::string& path, const IOOptions& options,
                     IODebugContext* debug) override {
    return faults_->run({.operation = FileOperation::kCreateDirectory, .path = path},
                        [&] { return target_->CreateDir(path, options, debug); });
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions& options,
                              IODebugContext* debug) override {
    return faults_->run({.operation = FileOperation::kCreateDirectory, .path = path},
                        [&] { return target_->CreateDirIfMissing(path, options, debug); });
  }

 private:
  IOStatus wrap(const IOStatus& status, std::unique_ptr<rocksdb::FSWritableFile> file,
                const std::string& path, uint64_t offset,
                std::unique_ptr<rocksdb::FSWritableFile>* result) {
    if (status.ok()) {
      result->reset(new FaultyWritableFile(std::move(file), path, offset, faults_));
    }
    return status;
  }

  const std::shared_ptr<FileFaults> faults_;
};

}  // namespace

FaultyFileSystem::FaultyFileSystem()
    : faults_(std::make_shared<FileFaults>()),
      env_(rocksdb::NewCompositeEnv(std::make_shared<Wrapper>(faults_))) {}

FaultyFileSystem::~FaultyFileSystem() = default;

rocksdb::Env* FaultyFileSystem::env() { return env_.get(); }

void FaultyFileSystem::fail(FileOperation operation, uint64_t nth, int error, bool for_good) {
  const std::lock_guard lock(faults_->mutex);
  faults_->plan = {operation, nth, error, for_good, 0, 0, false};
}

void FaultyFileSystem::fail_change(uint64_t nth, int error, bool for_good) {
  const std::lock_guard lock(faults_->mutex);
  faults_->plan = {std::nullopt, nth, error, for_good, 0, 0, false};
}

void FaultyFileSystem::lift() {
  const std::lock_guard lock(faults_->mutex);
  faults_->plan.lifted = true;
}

uint64_t FaultyFileSystem::failures() const {
  const std::lock_guard lock(faults_->mutex);
  return faults_->plan.failures;
}

uint64_t FaultyFileSystem::count(FileOperation operation) const {
  const std::lock_guard lock(faults_->mutex);
  return faults_->counts[static_cast<size_t>(operation)];
}

void FaultyFileSystem::set_hook(std::function<void(const FileEvent&)> hook) {
  const std::lock_guard lock(faults_->hook_mutex);
  faults_->hook = std::move(hook);
}

void FaultyFileSystem::skip_device_syncs() { faults_->skip_syncs = true; }

}  // namespace quire::tests
