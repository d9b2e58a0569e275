#include "client/quirectl/doctor/disk_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>

#include "model/fd_guard.h"

namespace quire::client {

namespace {

using model::Result;

constexpr size_t kDirectAlignment = 4096;

struct FreeBlock {
  void operator()(void* block) const { std::free(block); }
};

model::FdGuard open_nameless(const std::string& directory, int flags) {
  return model::FdGuard(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600));
}

// Bytes a second of what `move` does to each block: it is given the offset, and returns what the
// system call did.
template <typename Move>
Result<uint64_t> speed_of(const char* what, uint64_t bytes, Move move) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  for (uint64_t offset = 0; offset < bytes; offset += kProbeBlockBytes) {
    if (move(static_cast<off_t>(offset)) != static_cast<ssize_t>(kProbeBlockBytes)) {
      return model::errno_error(what);
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return static_cast<uint64_t>(static_cast<double>(bytes) / std::max(seconds, 1e-9));
}

}  // namespace

Result<DiskSpeed> probe_disk(const std::string& directory, uint64_t bytes) {
  DiskSpeed speed{.direct = true};
  model::FdGuard file = open_nameless(directory, O_DIRECT);
  if (!file.valid()) {
    speed.direct = false;
    file = open_nameless(directory, 0);
  }
  if (!file.valid()) return model::errno_error("a file in " + directory);
  const std::unique_ptr<void, FreeBlock> block(
      std::aligned_alloc(kDirectAlignment, kProbeBlockBytes));
  auto* words = static_cast<uint64_t*>(block.get());
  // Nothing that a device could leave out or squeeze.
  uint64_t word = 0x9e3779b97f4a7c15;
  for (size_t i = 0; i < kProbeBlockBytes / sizeof(uint64_t); ++i) {
    word = word * 6364136223846793005 + 1442695040888963407;
    words[i] = word;
  }
  speed.write_bytes_per_s = QUIRE_TRY(speed_of("write", bytes, [&](off_t offset) -> ssize_t {
    const ssize_t done = ::pwrite(file.get(), words, kProbeBlockBytes, offset);
    const bool last = static_cast<uint64_t>(offset) + kProbeBlockBytes >= bytes;
    return last && ::fdatasync(file.get()) != 0 ? -1 : done;
  }));
  speed.read_bytes_per_s = QUIRE_TRY(speed_of("read", bytes, [&](off_t offset) {
    return ::pread(file.get(), words, kProbeBlockBytes, offset);
  }));
  return speed;
}

}  // namespace quire::client
