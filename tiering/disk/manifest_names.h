// The names of manifests in a directory, and how one takes the place of another:
//
//   manifest becomes manifest.old --> manifest.new becomes manifest --> manifest.old is removed
//
// The directory is synced after each step. A crash leaves the old manifest, or the new one, or
// none, which SsdTier::open calls corrupt and which another rebuild mends. Threads: one; blocks.
#pragma once

#include <string>
#include <string_view>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::tiering {

class ManifestNames {
 public:
  static constexpr std::string_view kFresh = "manifest.new";
  static constexpr std::string_view kCurrent = "manifest";
  static constexpr std::string_view kOld = "manifest.old";

  static model::Result<ManifestNames> open(const std::string& path);
  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }
  bool exists(std::string_view name) const;
  // With the count that lies beside it; durable when it returns.
  model::Result<void> remove(std::string_view name) const;
  // manifest.new becomes manifest. An error says when there is none now.
  model::Result<void> replace() const;

 private:
  explicit ManifestNames(std::string path) : path_(std::move(path)) {}
  static std::string count_of(std::string_view name);
  model::Result<void> rename(std::string_view from, std::string_view to) const;

  std::string path_;
  model::FdGuard directory_;
};

}  // namespace quire::tiering
