// A sample of what left a tier, or was not let on it, watched on: when it comes back, and what does
// not for as long as it is watched. A policy that learned from what it keeps alone would never
// know what it should have kept.
//
// A ring of an eighth of the entries held (4,096 to 65,536, a power of two), 16 bytes each and 8 in
// its index: below two bytes an entry from a million entries on. The sample is of keys, one in 2^k:
// k rises when the ring forgets what left less than half an hour ago, a long pause of a person, and
// falls when it remembers more than two hours. Each one counts for as many as its sample stood
// for. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/eviction/age_profile.h"

namespace quire::cache {

class WatchList {
 public:
  // `last_use` is when its age began; it counts in `profile` when it goes.
  struct Watched {
    uint64_t last_use = 0;
    uint32_t print = 0;
    uint16_t of_class = 0;
    uint8_t sample = 0;  // it stands for 2^sample
    bool taken = true;
  };
  explicit WatchList(AgeProfile* profile) : profile_(profile) {}

  // Entries held, which the size follows; `share`: as EntryFacts::share().
  void set_held(uint64_t entries, double share = 1);
  // `weight`: of an event of one entry.
  void add(const Watched& one, uint64_t now, float weight = 1);
  // The one of this key came back: counted as a hit.
  std::optional<Watched> take(uint32_t print, uint64_t now, float weight = 1);
  uint64_t held_bytes() const {
    return ring_.capacity() * sizeof(Watched) + index_.capacity() * sizeof(uint32_t);
  }

 private:
  static constexpr uint32_t kLeast = 1 << 12;
  static constexpr uint32_t kMost = 1 << 16;
  static uint32_t mix(uint32_t print);
  void forget(const Watched& one, uint64_t now, float weight);
  void resize(uint32_t size);
  void adapt(uint64_t watched_us);

  AgeProfile* profile_;
  std::vector<Watched> ring_;
  std::vector<uint32_t> index_;  // by hash of the print: the newest place in the ring + 1; lossy
  uint32_t next_ = 0;
  uint32_t since_adapted_ = 0;
  uint8_t sample_ = 0;
};

}  // namespace quire::cache
