// Where a sequence's finished pages go. The sink owns the bytes; the decoder reads them in place.
// Called from within Sequence::prefill, on the caller's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

namespace quire::reference {

// Spans lend for the call. Page layouts: kv_geometry.h.
struct Checkpoint {
  uint32_t position = 0;  // h: tokens before it are covered
  std::span<const std::byte> window_page;
  std::span<const std::byte> state_page;
  std::span<const std::byte> tail_page;  // empty if h is a multiple of block_tokens
};

class PageSink {
 public:
  virtual ~PageSink() = default;

  // Append page of block `block` is full. Returns where its bytes may be read from now on: same
  // bytes, valid and unchanged as long as the sequence lives.
  virtual const std::byte* block_complete(uint32_t block, std::span<const std::byte> page) = 0;
  // At each position asked for in PrefillOptions::checkpoints, after the block it may complete.
  virtual void checkpoint(const Checkpoint& checkpoint) = 0;
};

// Keeps a sequence's blocks on the heap and drops checkpoints: for a decoder without a cache.
class HeapPageSink : public PageSink {
 public:
  const std::byte* block_complete(uint32_t, std::span<const std::byte> page) override {
    blocks_.emplace_back(page.begin(), page.end());
    return blocks_.back().data();
  }
  void checkpoint(const Checkpoint&) override {}

 private:
  std::deque<std::vector<std::byte>> blocks_;
};

}  // namespace quire::reference
