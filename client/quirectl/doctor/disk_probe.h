// How fast a directory's device writes and reads, as the SSD tier does it: large blocks, past the
// page cache where the file system can.
#pragma once

#include <cstdint>
#include <string>

#include "model/result.h"

namespace quire::client {

struct DiskSpeed {
  uint64_t write_bytes_per_s = 0;  // durable
  uint64_t read_bytes_per_s = 0;
  bool direct = false;  // O_DIRECT; false: the figures are of the page cache, too
};

// Of a nameless file of `bytes`, a multiple of kProbeBlockBytes, which goes with the call.
// kIoError.
inline constexpr uint64_t kProbeBlockBytes = 1 << 20;
model::Result<DiskSpeed> probe_disk(const std::string& directory, uint64_t bytes);

}  // namespace quire::client
