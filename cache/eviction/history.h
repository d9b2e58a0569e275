// Fingerprints of what was evicted from a tier lately, and whether it had been used again before:
// what ghost lists are made of, shared by all policies, so that it survives a switch.
//
// Two generations of an open-addressed table of 32-bit words: entries go to the younger one; when
// that has as many as it may, it becomes the older one, whose entries are forgotten. So between one
// and two times the capacity is remembered, at 8 bytes each at most, and no call costs more than a
// few probes. The capacity follows the number of entries that the tier holds, up to kMaxCapacity;
// where an entry stands for several of a tier's (ghosts), so many fewer are remembered.
// A fingerprint of another object is taken for one in some 2^30; that makes a policy err, no hit.
// Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "model/hash256.h"

namespace quire::cache {

enum class Seen : uint8_t { kNever = 0, kOnce, kOften };

class History {
 public:
  static constexpr uint32_t kMinCapacity = 1 << 10;
  static constexpr uint32_t kMaxCapacity = 1 << 18;

  // `often`: it had been used again. `held`: entries on the tier now. `share`: of one entry of a
  // tier, by which an entry here counts.
  void add(const model::Hash256& key, bool often, uint32_t held, double share = 1);
  // A hint: it is added soon.
  void prefetch(const model::Hash256& key) const;
  // What is known of it; forgets it.
  Seen take(const model::Hash256& key);
  // How many are remembered that went after one use; after more.
  uint32_t count(Seen seen) const;
  uint64_t held_bytes() const;

 private:
  // A word: 0 = free, else 30 bits of fingerprint and Seen in the low two; kTaken = was there.
  struct Generation {
    std::vector<uint32_t> words;  // twice the capacity at least, a power of two
    uint32_t capacity = 0;
    uint32_t added = 0;
    std::array<uint32_t, 3> counts{};  // by Seen
  };
  static constexpr uint32_t kTaken = 3;
  static uint32_t fingerprint(const model::Hash256& key);
  static uint32_t* find(Generation& generation, uint32_t print);

  std::array<Generation, 2> generations_;  // the younger one first
};

}  // namespace quire::cache
