#include "allocator/flat_array.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace quire::allocator {

model::Result<ReservedMemory> ReservedMemory::reserve(size_t bytes, Pages pages) {
  ReservedMemory memory;
  if (bytes == 0) return memory;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return model::errno_error("cannot reserve " + std::to_string(bytes) +
                              " bytes of address space");
  }
  // Only speed: refused where THP is not built in.
  ::madvise(data, bytes, pages == Pages::kHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  memory.data_ = data;
  memory.bytes_ = bytes;
  return memory;
}

ReservedMemory::ReservedMemory(ReservedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

ReservedMemory& ReservedMemory::operator=(ReservedMemory&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, bytes_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

ReservedMemory::~ReservedMemory() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

size_t ReservedMemory::resident_bytes() const {
  const size_t page_bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::array<unsigned char, 16384> present;
  size_t resident_pages = 0;
  for (size_t offset = 0; offset < bytes_; offset += present.size() * page_bytes) {
    const size_t length = std::min(bytes_ - offset, present.size() * page_bytes);
    const size_t pages = (length + page_bytes - 1) / page_bytes;
    if (::mincore(static_cast<std::byte*>(data_) + offset, length, present.data()) != 0) break;
    resident_pages += static_cast<size_t>(
        std::count_if(present.begin(), present.begin() + static_cast<ptrdiff_t>(pages),
                      [](unsigned char flags) { return (flags & 1) != 0; }));
  }
  return resident_pages * page_bytes;
}

}  // namespace quire::allocator
