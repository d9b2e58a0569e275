// Memory for the stored form of encoded objects on its way to or from the device: whole buffers,
// kept for reuse, within a bound. Not registered with the engine: a codec is slower than what that
// would save. Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "allocator/flat_array.h"

namespace quire::tiering {

class BounceBuffers {
 public:
  // 4 KiB aligned; null: with it more than limit_bytes would be in use (the first one always may),
  // or there is no memory. What it holds is undefined.
  std::byte* take(uint64_t bytes, uint64_t limit_bytes);
  void give_back(const std::byte* buffer);
  uint64_t held_bytes() const { return held_bytes_; }  // of address space; touched when used

 private:
  struct Buffer {
    allocator::ReservedMemory memory;
    bool in_use = false;
    std::byte* data() const { return static_cast<std::byte*>(memory.data()); }
  };
  void drop_free();

  std::vector<Buffer> buffers_;
  uint64_t held_bytes_ = 0;
  uint64_t used_bytes_ = 0;
};

}  // namespace quire::tiering
