#include "client/shared_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace quire::client {

using model::Errc;
using model::make_error;
using model::Mapping;
using model::Result;

Result<Mapping> map_checked(const model::FdGuard& fd, uint64_t bytes, bool writable,
                            uint64_t offset) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return model::errno_error("fstat of shared memory");
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size < bytes || size - bytes < offset) {
    return make_error(Errc::kCorrupt, "shared memory is smaller than announced");
  }
  return Mapping::map_shared(fd.get(), bytes, writable, offset);
}

Result<void> allocate_shared(const Mapping& area) {
  constexpr uint64_t kHugePage = 2ull << 20;
  if (area.bytes() >= kHugePage) ::madvise(area.data(), area.bytes(), MADV_HUGEPAGE);
  if (::madvise(area.data(), area.bytes(), MADV_POPULATE_WRITE) == 0) return {};
  if (errno == EINVAL) return {};  // a kernel that cannot: page by page, when first written
  return make_error(Errc::kResourceExhausted, "no memory for what this process writes");
}

}  // namespace quire::client
