// DIR/data.NNNNNN: the descriptors of a directory's data files, opened as the device is used.
// Knows nothing of what they hold. Names that this makes are durable after the directory was synced
// (SsdDirectory::sync_names). Threads: core only, with calls of microseconds. Bound: kMaxRegions
// files. Lifetime: the directory's descriptor outlives it, and it the transfers in its files, which
// go through IoEngine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::tiering {

inline constexpr std::string_view kDataPrefix = "data.";

struct DataFilesOptions {
  int directory = -1;      // -1: it is not there yet, and nothing in it
  std::string path;        // of the directory, for texts
  bool direct_io = false;  // O_DIRECT
  bool read_only = true;   // none is made, and all are opened for reading
};

class DataFiles {
 public:
  DataFiles() = default;
  explicit DataFiles(DataFilesOptions options) : options_(std::move(options)) {}

  // Opens file `number`, making it when `create` and not read_only; kept open as long as this
  // lives. Its name is not durable yet; also that of a file which was there, for the one who made
  // it may have been killed before. kNotFound: absent and not to be made. The same descriptor on
  // later calls.
  model::Result<int> open(uint32_t number, bool create);
  // A new descriptor of a file that is open. Precondition: the old one is in use nowhere.
  model::Result<int> reopen(uint32_t number);
  // From now on; files that are open stay open for reading until reopen().
  void allow_writes() { options_.read_only = false; }

  // A file without a name, gone with its descriptor; opened as data files are, for writing.
  model::Result<model::FdGuard> nameless() const;
  // Numbers of those that exist, ascending. kCorrupt: one of them is not a file.
  model::Result<std::vector<uint32_t>> list() const;
  // Bytes that the file has now; 0 when absent.
  uint64_t bytes(uint32_t number) const;
  // Bytes of blocks that it has, which are fewer where it has holes.
  uint64_t blocks(uint32_t number) const;

 private:
  model::Result<model::FdGuard> open_named(const std::string& name, bool create) const;

  DataFilesOptions options_;
  std::vector<model::FdGuard> files_;  // by number; none: not opened
};

}  // namespace quire::tiering
