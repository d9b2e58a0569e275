// The append pages of one sequence: sealed blocks are read where their owner keeps them, the open
// block is written here. Sealed bytes are never copied and never written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quire::reference {

class AppendPages {
 public:
  explicit AppendPages(uint64_t page_bytes) : open_(page_bytes) {}

  // Page of a sealed block, or of the open one if block == sealed_count().
  const std::byte* page(uint32_t block) const {
    return block < sealed_.size() ? sealed_[block] : open_.data();
  }
  uint32_t sealed_count() const { return static_cast<uint32_t>(sealed_.size()); }
  // Rows not yet written are zero.
  std::span<std::byte> open() { return open_; }
  std::span<const std::byte> open() const { return open_; }
  // The open block is full and may be read at `at` from now on; a new one is opened.
  void seal(const std::byte* at);

 private:
  std::vector<const std::byte*> sealed_;
  std::vector<std::byte> open_;
};

}  // namespace quire::reference
