// A sample of what left a tier, or was not let on it, watched on: when it comes back, and what does
// not for as long as it is watched. A policy that learned from what it keeps alone would never
// know what it should have kept.
//
// A ring of an eighth of the entries held (16,384 to 65,536, a power of two), 16 bytes each and 8
// in its index: below two bytes an entry from a million entries on. It grows in place, and nothing
// of it is moved for that, so no call takes longer than another.
//
// The newest half of it has all that left; what makes way there goes on in the next part if it is
// one of the quarter of keys that this part has, and so on through five: a small ring knows
// everything of a session's next step and a sample of what comes back after hours. Where that does
// not reach back for as long as it takes to fill the tier eight times, the first part begins with
// one key in 2^k; k falls when it reaches four times as far. (Ages at which entries leave would be
// no measure: a policy that lets newcomers go at once would watch for seconds, and never learn who
// comes back in a minute.) Each one counts for as many as its sample stood for. A hand goes round
// the ring and counts what is still there in the bins that it passed. Threads: core only.
#pragma once

#include <array>
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
    uint8_t counted = 0;     // bins of its profile
    uint8_t sample : 7 = 0;  // it stands for 2^sample
    // False in a place that was never used, or from which one was taken.
    bool watched : 1 = false;
  };
  static_assert(sizeof(Watched) == 16);
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
  static constexpr uint32_t kLeast = 1 << 14;
  static constexpr uint32_t kMost = 1 << 16;
  static constexpr uint32_t kBucket = 4;
  static constexpr uint32_t kParts = 5;
  WatchList(allocator::FlatArray<Watched> ring, allocator::FlatArray<uint32_t> index)
      : ring_(std::move(ring)), index_(std::move(index)) {}
  static uint32_t mix(uint32_t print);
  static uint32_t bucket(uint32_t mixed, uint32_t places) {
    return mixed & (places - 1) & ~(kBucket - 1);
  }
  // The first part is the upper half of the ring, the next one half of what is left, and so on; the
  // last one is all that is left then.
  uint32_t part_begin(uint32_t part) const { return part + 1 == kParts ? 0 : size_ >> (part + 1); }
  uint32_t part_size(uint32_t part) const {
    return part + 1 == kParts ? size_ >> part : size_ >> (part + 1);
  }
  // How long the tier takes to be filled anew, as things go lately.
  void note_pace(uint64_t now);
  void count(Watched& one, uint64_t now, float weight);
  void move_hand(uint64_t now, float weight);
  void put(Watched one, uint64_t now, float weight);
  // Where in the index the ring's place is to be noted.
  uint32_t find_slot(uint32_t mixed, uint32_t place) const;
  void grow(uint32_t size);
  void adapt(uint64_t watched_us);
  // Null: none of this print where an index of so many places would have it.
  Watched* find(uint32_t print, uint32_t places);

  AgeProfile* profile_ = nullptr;
  allocator::FlatArray<Watched> ring_;
  // By hash of the print, buckets of places in the ring + 1; lossy where one overflows. What came
  // before the ring grew stays where an index of half as many places has it.
  allocator::FlatArray<uint32_t> index_;
  uint32_t size_ = 0;                    // of the ring; 0: nothing was held yet
  std::array<uint32_t, kParts> next_{};  // within each part
  uint32_t hand_ = 0;
  uint64_t held_ = 0;  // by the tier
  uint64_t added_at_us_ = 0;
  double adds_ = 0;         // as many as interval_us_ is a mean of
  double interval_us_ = 0;  // between two
  double filling_us_ = 0;
  uint32_t since_adapted_ = 0;
  uint8_t sample_ = 0;
};

}  // namespace quire::cache
