// A file system under RocksDB that counts what it is asked, fails on demand and tells a hook of
// every change, in the order in which it happened: what a power-cut recorder needs. The files are
// real. A failed append leaves half of its bytes, as a full device does.
//
// Threads: any. Lifetime: outlives every database opened through env().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace rocksdb {
class Env;
}

namespace quire::tests {

enum class FileOperation : uint8_t {
  kCreate,  // a file for writing; path is truncated
  kAppend,
  kSync,
  kClose,
  kTruncate,
  kRename,
  kDelete,
  kCreateDirectory,
  kSyncDirectory,
  kRead,
};
inline constexpr size_t kFileOperationCount = 10;

struct FileEvent {
  FileOperation operation = FileOperation::kCreate;
  std::string path;
  std::string target;     // kRename
  uint64_t offset = 0;    // kAppend: where; kTruncate: the size
  std::string_view data;  // kAppend: lives for the call
};

struct FileFaults;  // what the files of one file system share

class FaultyFileSystem {
 public:
  FaultyFileSystem();
  ~FaultyFileSystem();
  rocksdb::Env* env();

  // The nth (from 1) operation of this kind from now fails with `error` (an errno): once, or with
  // all that follow until lift(). One plan at a time.
  void fail(FileOperation operation, uint64_t nth, int error, bool for_good);
  // The same over every operation but kRead.
  void fail_change(uint64_t nth, int error, bool for_good);
  void lift();
  // How many were failed since the last fail() or fail_change().
  uint64_t failures() const;
  // How many were asked for since construction, failed ones too.
  uint64_t count(FileOperation operation) const;

  // Called after each change that succeeded, one at a time; it may block. kRead is not told.
  void set_hook(std::function<void(const FileEvent&)> hook);
  // Syncs succeed without reaching the device, and nothing is preallocated: for tests where no
  // power is cut. Syncs are still counted, failed and told.
  void skip_device_syncs();

 private:
  std::shared_ptr<FileFaults> faults_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace quire::tests
