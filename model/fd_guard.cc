#include "model/fd_guard.h"

#include <sys/mman.h>
#include <unistd.h>

namespace quire::model {

void FdGuard::reset() {
  // Not repeated after EINTR: the number is free by then, and may be another thread's file.
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<Mapping> Mapping::map_shared(int fd, size_t bytes, bool writable, uint64_t offset) {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (data == MAP_FAILED) return errno_error("mmap");
  Mapping mapping;
  mapping.data_ = data;
  mapping.bytes_ = bytes;
  return mapping;
}

void Mapping::reset() {
  if (data_ != nullptr) ::munmap(std::exchange(data_, nullptr), std::exchange(bytes_, 0));
}

}  // namespace quire::model
