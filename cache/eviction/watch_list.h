// A sample of what left a tier, or was not let on it, watched on: when it comes back, and what does
// not for as long as it is watched. A policy that learned from what it keeps alone would never
// know what it should have kept.
//
// A ring of an eighth of the entries held (4,096 to 65,536, a power of two), 16 bytes each and 8 in
// its index: below two bytes an entry from a million entries on. It grows in place, and nothing of
// it is moved for that, so no call takes longer than another. The sample is of keys, one in 2^k:
// k rises when the ring forgets what left less than half an hour ago, a long pause of a person, and
// falls when it remembers more than two hours. Each one counts for as many as its sample stood
// for. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "allocator/flat_array.h"
#include "cache/eviction/age_profile.h"
#include "model/result.h"

namespace quire::cache {

class WatchList {
 public:
  // `last_use` is when its age began; it counts in the profile when it goes.
  struct Watched {
    uint64_t last_use = 0;
    uint32_t print = 0;
    uint16_t of_class = 0;
    uint8_t sample = 0;    // it stands for 2^sample
    bool watched = false;  // nothing is, in a place that was never used or from which one was taken
  };
  // kResourceExhausted: no address space.
  static model::Result<WatchList> create();
  // First of all calls: where it says what it saw.
  void tell(AgeProfile* profile) { profile_ = profile; }

  // Entries held, which the size follows; `share`: as EntryFacts::share().
  void set_held(uint64_t entries, double share = 1);
  // `weight`: of an event of one entry.
  void add(const Watched& one, uint64_t now, float weight = 1);
  // The one of this key came back: counted as a hit.
  std::optional<Watched> take(uint32_t print, uint64_t now, float weight = 1);
  uint64_t held_bytes() const {
    return size_ == 0 ? 0 : ring_.held_bytes(size_) + index_.held_bytes(size_ * size_t{2});
  }

 private:
  static constexpr uint32_t kLeast = 1 << 12;
  static constexpr uint32_t kMost = 1 << 16;
  WatchList(allocator::FlatArray<Watched> ring, allocator::FlatArray<uint32_t> index)
      : ring_(std::move(ring)), index_(std::move(index)) {}
  static uint32_t mix(uint32_t print);
  void forget(const Watched& one, uint64_t now, float weight);
  void grow(uint32_t size);
  void adapt(uint64_t watched_us);
  // Null: none of this print where an index of so many places would have it.
  Watched* find(uint32_t print, uint32_t places);

  AgeProfile* profile_ = nullptr;
  allocator::FlatArray<Watched> ring_;
  // By hash of the print: the newest place in the ring + 1; lossy. What came before the ring grew
  // stays where an index of half as many places has it.
  allocator::FlatArray<uint32_t> index_;
  uint32_t size_ = 0;  // of the ring; 0: nothing was held yet
  uint32_t next_ = 0;
  uint32_t since_adapted_ = 0;
  uint8_t sample_ = 0;
};

}  // namespace quire::cache
