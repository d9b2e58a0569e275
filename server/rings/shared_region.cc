#include "server/rings/shared_region.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "model/session_shm.h"

namespace quire::server {

using model::Errc;
using model::errno_error;
using model::FdGuard;
using model::Mapping;

namespace {

constexpr uint64_t kHugePage = 2ull << 20;

model::Result<FdGuard> make_memfd(uint64_t bytes) {
  FdGuard fd(::memfd_create("quire-session", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return errno_error("memfd_create");
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return errno_error("ftruncate");
  return fd;
}

model::Result<void> allocate(int fd, Mapping& mapping) {
  const bool populated = ::madvise(mapping.data(), mapping.bytes(), MADV_POPULATE_WRITE) == 0;
  // Before Linux 5.14 the advice is unknown.
  if (!populated && ::fallocate(fd, 0, 0, static_cast<off_t>(mapping.bytes())) != 0) {
    return model::make_error(Errc::kResourceExhausted, "no memory for a session's shared region");
  }
  return {};
}

model::Result<FdGuard> reopen_read_only(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  FdGuard read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only.valid()) return errno_error("open of a memfd for reading");
  return read_only;
}

}  // namespace

model::Result<SharedRegion> SharedRegion::create(uint64_t bytes, ClientAccess access,
                                                 Allocation allocation) {
  const uint64_t unit = bytes >= kHugePage ? kHugePage : 4096;
  const uint64_t size = model::align_up(bytes, unit);
  FdGuard fd = QUIRE_TRY(make_memfd(size));
  SharedRegion region;
  region.mapping_ = QUIRE_TRY(Mapping::map_shared(fd.get(), size, true));
  Mapping& mapping = region.mapping_;
  // Asked for before the first page exists: shared memory gets huge pages at the fault only. What
  // is allocated through its file has small ones, and its first page is touched here.
  if (size >= kHugePage && allocation != Allocation::kElsewhere) {
    ::madvise(mapping.data(), size, MADV_HUGEPAGE);
  }
  ::madvise(mapping.data(), size, MADV_DONTDUMP);
  if (allocation == Allocation::kNow) QUIRE_TRY(allocate(fd.get(), mapping));
  // A file that could shrink would be a SIGBUS for the core at the next word it reads.
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (access == ClientAccess::kReadOnly) {
    if (::fchmod(fd.get(), 0400) != 0) return errno_error("fchmod");
    seals |= F_SEAL_FUTURE_WRITE;
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) return errno_error("F_ADD_SEALS");
  if (access == ClientAccess::kReadWrite) {
    region.fd_ = std::move(fd);
    return region;
  }
  // The first descriptor may write, and whoever has it may pass it on: clients get one opened anew.
  region.fd_ = QUIRE_TRY(reopen_read_only(fd.get()));
  if (allocation == Allocation::kElsewhere) region.unallocated_ = std::move(fd);
  return region;
}

}  // namespace quire::server
