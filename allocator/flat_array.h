// A flat array that grows in place: address space for the largest size is reserved once, memory is
// taken as elements are first touched. Elements start as zero bytes. No element ever moves, so
// there is no copy and no pause when it grows.
//
// Transparent huge pages are asked for: index walks are bound by TLB misses otherwise.
// Threads: one owner. T must be valid as all-zero bytes (it is also what a re-adopted memfd holds),
// and is never destroyed here: what an element owns goes when its record is given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "model/check.h"
#include "model/result.h"

namespace quire::allocator {

inline constexpr uint64_t kHugePageBytes = 2 << 20;

// Untyped part: reserves address space, commits in steps.
class ReservedMemory {
 public:
  ReservedMemory() = default;
  // kResourceExhausted when the address space cannot be had. kSmall: for arrays of which a megabyte
  // or two is used, where rounding to 2 MiB would cost more than it speeds up.
  enum class Pages : uint8_t { kHuge, kSmall };
  static model::Result<ReservedMemory> reserve(size_t bytes, Pages pages = Pages::kHuge);
  ReservedMemory(ReservedMemory&& other) noexcept;
  ReservedMemory& operator=(ReservedMemory&& other) noexcept;
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;
  ~ReservedMemory();

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Memory that the first `used` bytes take once they were touched, in whole pages of the kind that
  // was asked for. Counted, not asked of the kernel: that would take as long as the range is.
  size_t held_bytes(size_t used) const;

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Pages pages_ = Pages::kHuge;
};

// A type that owns something says itself that all-zero bytes of it own nothing.
template <typename T>
inline constexpr bool kValidAsZero = std::is_trivially_copyable_v<T>;

template <typename T>
class FlatArray {
  static_assert(kValidAsZero<T>);

 public:
  FlatArray() = default;
  static model::Result<FlatArray> reserve(
      size_t max_count, ReservedMemory::Pages pages = ReservedMemory::Pages::kHuge) {
    FlatArray array;
    array.memory_ = QUIRE_TRY(ReservedMemory::reserve(max_count * sizeof(T), pages));
    array.max_count_ = max_count;
    return array;
  }

  T& operator[](size_t index) { return static_cast<T*>(memory_.data())[index]; }
  const T& operator[](size_t index) const { return static_cast<const T*>(memory_.data())[index]; }
  T* data() { return static_cast<T*>(memory_.data()); }
  const T* data() const { return static_cast<const T*>(memory_.data()); }
  size_t max_count() const { return max_count_; }
  // Memory that the first `count` elements take.
  size_t held_bytes(size_t count) const { return memory_.held_bytes(count * sizeof(T)); }

 private:
  ReservedMemory memory_;
  size_t max_count_ = 0;
};

}  // namespace quire::allocator
