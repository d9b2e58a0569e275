// What an infinite cache would have hit: a block that came before is a hit, and so is all before it
// in its prompt, so blocks can be sampled one by one, by their own keys.
//
// Keys that came stand in a table of 48 bits each, half a megabyte in all: all of them until it is
// full, from then on those of a sample that halves each time it fills again. Keys that did not come
// again for a day are forgotten first. A prompt's new tokens are counted from the sample, so an
// error is one of new tokens, by the root of the sample's number of them.
// Threads: one owner. Nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quire::cache {

class Ceiling {
 public:
  Ceiling() : slots_(kSlots) {}

  // How many of the blocks are new, in expectation. `now_us`: since any start. The first
  // `found_blocks` the tier has: they came before, though not in a prompt that was seen here (what
  // a restart brought back, or was committed unasked).
  uint64_t add(std::span<const uint64_t> keys, int64_t now_us, uint64_t found_blocks = 0);
  double rate() const { return 1.0 / static_cast<double>(uint64_t{1} << halvings_); }
  uint64_t held_bytes() const { return slots_.capacity() * sizeof(uint64_t); }

 private:
  static constexpr uint32_t kSlots = 1 << 16;
  static constexpr uint32_t kFull = kSlots / 8 * 7;
  static constexpr uint64_t kStampBits = 16;
  static constexpr uint64_t kStampMask = (1 << kStampBits) - 1;

  // A slot: 48 bits of the key above the hour, plus one, of when it came last; 0: free.
  static size_t home(uint64_t slot) { return (slot >> kStampBits) & (kSlots - 1); }
  // By the highest bits that a slot keeps: they are zero in all that is sampled.
  bool is_sampled(uint64_t key) const { return (key << kStampBits) >> 1 >> (63 - halvings_) == 0; }
  bool note(uint64_t key, uint64_t stamp);
  void make_room(uint64_t stamp);
  template <typename Keep>
  void sweep(Keep&& keep);
  void erase(size_t at);

  std::vector<uint64_t> slots_;
  uint32_t used_ = 0;
  uint32_t halvings_ = 0;
};

}  // namespace quire::cache
