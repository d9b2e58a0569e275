// What left a tier or the host, when and why, by fingerprints of keys: so that a later miss can be
// explained. Answers nothing that a hit depends on.
//
//   bucket (128 B) = 10 departures of 12 B, and until when departures of this bucket were forgotten
//
// 1. Memory is fixed at creation; a departure costs one bucket, two cache lines, and allocates
//    nothing.
// 2. A key has one departure, its last. What left the host is kept before what left one tier only.
// 3. What is forgotten is known by its time: who finds nothing learns since when nothing was
//    forgotten (forgotten_s).
// 4. Fingerprints bind the root, so one user's keys say nothing of another's, and are keyed with a
//    secret: a client that chooses its hashes cannot choose a bucket. Of 2^32 lookups one finds
//    somebody else's departure in its bucket ten times: a wrong explanation, never a wrong hit.
//
// Times are seconds of the core's clock as set_now() told it, plus one: 0 is never. Threads: core.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "allocator/flat_array.h"
#include "cache/objects/departure.h"
#include "cache/tree/node.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

struct LastDeparture {
  uint32_t at_s = 0;  // 0: none is known
  DepartureCause cause = DepartureCause::kNone;
  model::TierId tier = model::TierId::kRam;  // that it left, or was the last one on
  bool gone = false;                         // from the host; else it was on another tier still
  model::GroupIndex group = 0;               // of kIncomplete: the first that was not written
  std::string_view policy = {};
  bool known() const { return at_s != 0; }
};

class DepartureLog {
 public:
  static constexpr uint64_t kMinBytes = 128;

  // `bytes`: at least kMinBytes. kResourceExhausted: no address space.
  static model::Result<std::unique_ptr<DepartureLog>> create(uint64_t bytes, uint64_t seed);

  // What stands for an object. `root`: the root's hash.
  uint64_t print_of(const model::Hash256& root, NodeKind kind, const model::Hash256& key) const;
  // Left this tier, or with `gone` the host.
  void note(uint64_t print, const Departure& departure, model::TierId tier, bool gone);
  // Was never whole.
  void note_incomplete(uint64_t print, model::GroupIndex missing);

  LastDeparture find(uint64_t print) const;
  // Departures of this print up to this second may be forgotten. 0: none is.
  uint32_t forgotten_s(uint64_t print) const;
  // A hint: a find() follows, or a note().
  void prefetch(uint64_t print) const {
    const auto* lines = reinterpret_cast<const char*>(&bucket_of(print));
    __builtin_prefetch(lines);
    __builtin_prefetch(lines + sizeof(Bucket) / 2);
    asm volatile("");  // as in ChainIndex::prefetch()
  }

  void set_now(int64_t now_ns);
  uint32_t now_s() const { return now_s_; }
  // From when on it has been told of departures.
  uint32_t begun_s() const { return begun_s_; }
  uint64_t held_bytes() const { return buckets_.held_bytes(bucket_count_); }

 private:
  struct Entry {
    uint32_t tag;
    uint32_t at_s;
    uint8_t cause;  // kNone: free
    uint8_t policy;
    uint8_t tier : 7;
    uint8_t gone : 1;
    uint8_t group;
  };
  static constexpr size_t kEntries = 10;
  struct alignas(64) Bucket {
    std::array<Entry, kEntries> entries;
    uint32_t forgotten_s;
    uint32_t reserved;
  };
  static_assert(sizeof(Entry) == 12 && sizeof(Bucket) == 128);
  // A policy's name is a literal; there are a dozen.
  static constexpr size_t kMostNames = 32;

  DepartureLog() = default;
  const Bucket& bucket_of(uint64_t print) const { return buckets_[place_of(print)]; }
  uint64_t place_of(uint64_t print) const { return ((print >> 32) * bucket_count_) >> 32; }
  Entry* place_for(Bucket& bucket, uint32_t tag, bool gone);
  void put(uint64_t print, Entry entry);
  uint8_t number_of(std::string_view policy);

  allocator::FlatArray<Bucket> buckets_;
  uint64_t bucket_count_ = 0;
  std::array<uint64_t, 4> secrets_{};
  std::array<std::string_view, kMostNames> names_{};  // [0]: nobody
  uint32_t now_s_ = 1;
  uint32_t begun_s_ = 0;
};

}  // namespace quire::cache
