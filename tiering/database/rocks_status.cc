#include "tiering/database/rocks_status.h"

#include <rocksdb/env.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace quire::tiering {

using model::Errc;
using model::Error;
using model::make_error;
using rocksdb::Status;

namespace {

// It has no code of its own for that.
bool lock_is_held(const Status& status) {
  const std::string text = status.ToString();
  return status.IsIOError() && text.find("lock") != std::string::npos &&
         (text.find("Resource temporarily unavailable") != std::string::npos ||
          text.find("lock hold by current process") != std::string::npos);
}

}  // namespace

Error error_of(const Status& status, const DatabaseOptions& options) {
  const std::string text = text_of(options) + ": " + status.ToString();
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

rocksdb::Env* env_of(const DatabaseOptions& options) {
  return options.env != nullptr ? options.env : rocksdb::Env::Default();
}

}  // namespace quire::tiering
