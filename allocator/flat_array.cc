#include "allocator/flat_array.h"

#include <sys/mman.h>

#include <algorithm>
#include <string>
#include <utility>

namespace quire::allocator {

namespace {

constexpr size_t kPageBytes = 4096;

}  // namespace

model::Result<ReservedMemory> ReservedMemory::reserve(size_t bytes, Pages pages) {
  ReservedMemory memory;
  if (bytes == 0) return memory;
  // What is smaller than a huge page gains nothing from one, and would take it from its neighbours.
  if (bytes < kHugePageBytes) pages = Pages::kSmall;
  // NORESERVE: the largest size is address space, and no promise of memory that the kernel would
  // count.
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
  memory.pages_ = pages;
  return memory;
}

ReservedMemory::ReservedMemory(ReservedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      pages_(other.pages_) {}

ReservedMemory& ReservedMemory::operator=(ReservedMemory&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, bytes_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    pages_ = other.pages_;
  }
  return *this;
}

ReservedMemory::~ReservedMemory() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

size_t ReservedMemory::held_bytes(size_t used) const {
  const size_t unit = pages_ == Pages::kHuge ? kHugePageBytes : kPageBytes;
  return std::min(bytes_, (used + unit - 1) / unit * unit);
}

}  // namespace quire::allocator
