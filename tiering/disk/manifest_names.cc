#include "tiering/disk/manifest_names.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "tiering/database/database_count.h"
#include "tiering/io/durable_file.h"

namespace quire::tiering {

namespace fs = std::filesystem;

using model::Errc;
using model::make_error;
using model::Result;

Result<ManifestNames> ManifestNames::open(const std::string& path) {
  ManifestNames names(path);
  names.directory_ = model::FdGuard(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!names.directory_.valid()) return file_error("open " + path);
  return names;
}

bool ManifestNames::exists(std::string_view name) const {
  return ::faccessat(directory_.get(), std::string(name).c_str(), F_OK, 0) == 0;
}

// The count that lies beside it too.
Result<void> ManifestNames::remove(std::string_view name) const {
  std::error_code failure;
  fs::remove(path(count_of(name)), failure);
  if (!failure) fs::remove_all(path(name), failure);
  if (failure) {
    return make_error(Errc::kIoError, "remove " + path(name) + ": " + failure.message());
  }
  return sync_directory(directory_.get());
}

// What was there goes last: until then a crash can be undone.
Result<void> ManifestNames::replace() const {
  const bool replaces = exists(kCurrent);
  if (replaces) QUIRE_TRY(rename(kCurrent, kOld));
  if (const Result<void> renamed = rename(kFresh, kCurrent); !renamed.ok()) {
    if (exists(kCurrent) || (replaces && rename(kOld, kCurrent).ok())) return renamed;
    return make_error(renamed.code(),
                      renamed.error().text + "; there is no manifest now: rebuild again");
  }
  // Cut short before: the new manifest seems to miss something, and another rebuild mends it.
  if (exists(count_of(kFresh))) QUIRE_TRY(rename(count_of(kFresh), count_of(kCurrent)));
  return remove(kOld);
}

std::string ManifestNames::count_of(std::string_view name) {
  return std::string(name) + kDatabaseCountSuffix;
}

Result<void> ManifestNames::rename(std::string_view from, std::string_view to) const {
  if (::renameat(directory_.get(), std::string(from).c_str(), directory_.get(),
                 std::string(to).c_str()) != 0) {
    return file_error("rename " + path(from));
  }
  return sync_directory(directory_.get());
}

}  // namespace quire::tiering
