#include "tiering/transfer/bounce_buffers.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

std::byte* BounceBuffers::take(uint64_t bytes, uint64_t limit_bytes) {
  if (used_bytes_ > 0 && used_bytes_ + bytes > limit_bytes) return nullptr;
  Buffer* best = nullptr;
  for (Buffer& buffer : buffers_) {
    if (buffer.in_use || buffer.memory.bytes() < bytes) continue;
    if (best == nullptr || buffer.memory.bytes() < best->memory.bytes()) best = &buffer;
  }
  // A larger one counts whole: what is in use stays within the bound.
  if (best != nullptr && used_bytes_ > 0 && used_bytes_ + best->memory.bytes() > limit_bytes) {
    best = nullptr;
  }
  if (best == nullptr) {
    if (held_bytes_ + bytes > limit_bytes) drop_free();
    auto memory =
        allocator::ReservedMemory::reserve(bytes, allocator::ReservedMemory::Pages::kSmall);
    if (!memory.ok()) return nullptr;
    held_bytes_ += memory->bytes();
    best = &buffers_.emplace_back(Buffer{std::move(memory).value()});
  }
  best->in_use = true;
  used_bytes_ += best->memory.bytes();
  return best->data();
}

void BounceBuffers::give_back(const std::byte* data) {
  const auto found = std::find_if(buffers_.begin(), buffers_.end(), [&](const Buffer& buffer) {
    return buffer.in_use && buffer.data() == data;
  });
  QUIRE_CHECK(found != buffers_.end());
  found->in_use = false;
  used_bytes_ -= found->memory.bytes();
}

void BounceBuffers::drop_free() {
  std::erase_if(buffers_, [&](const Buffer& buffer) {
    if (buffer.in_use) return false;
    held_bytes_ -= buffer.memory.bytes();
    return true;
  });
}

}  // namespace quire::tiering
