// What interactive loads have still to bring, for estimates of the next one. Asked many times in
// one match, so it is sums alone, never a walk over the loads. Threads: core only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tiering/load_record.h"

namespace quire::tiering {

class LoadBacklog {
 public:
  void add(const LoadRecord& load) { count_ += load.is_batch() ? 0 : 1; }
  void remove(LoadRecord& load) {
    set_bytes_left(load, 0);
    count_ -= load.is_batch() ? 0 : 1;
  }
  void set_bytes_left(LoadRecord& load, uint64_t bytes) {
    if (!load.is_batch()) {
      bytes_ += bytes - load.bytes_left;  // unsigned arithmetic wraps as wanted
      near_bytes_ += std::min(bytes, kLoadBytes) - std::min(load.bytes_left, kLoadBytes);
    }
    load.bytes_left = bytes;
  }
  // Loads share the device, so of a longer one it waits for as much as it reads itself, or for what
  // that one has under way.
  uint64_t bytes_before(uint64_t bytes) const {
    const uint64_t beyond = bytes - std::min(bytes, kLoadBytes);
    return std::min(bytes_, near_bytes_ + beyond * count_);
  }

 private:
  uint64_t bytes_ = 0;       // left of each
  uint64_t near_bytes_ = 0;  // of each up to kLoadBytes
  size_t count_ = 0;
};

}  // namespace quire::tiering
