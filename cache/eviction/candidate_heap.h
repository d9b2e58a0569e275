// Candidates in order of a key, least first: what policies are made of. An entry is in at most one
// heap of its tier, and EntryTable knows its place there, so that any of them can be taken out.
//
// The key is the policy's: a time of use that may move on later (refresh), or a place in a queue.
// O(log n) a change, O(1) to look. What is evicted stands at the top, and as a rule its parent is
// offered next and belongs there, too. So a top that was taken out stays vacant until the next
// change: two ways through all levels, a miss of the cache each, are saved then.
// Threads: core only. 16 bytes a candidate.
#pragma once

#include <cstdint>
#include <optional>

#include "allocator/flat_array.h"
#include "cache/eviction/entry_table.h"
#include "model/result.h"

namespace quire::cache {

class CandidateHeap {
 public:
  // `max_entries` bounds address space only.
  static model::Result<CandidateHeap> create(EntryTable* entries, uint64_t max_entries);

  // Precondition: in no heap.
  void insert(EntryId entry, uint64_t key);
  // Preconditions: in this heap.
  void erase(EntryId entry);
  void set_key(EntryId entry, uint64_t key);

  uint32_t size() const { return size_ - (vacant_ ? 1 : 0); }
  // nullopt: empty.
  std::optional<EntryId> least() const;
  // Precondition: not empty.
  uint64_t least_key() const { return at(top()).key; }
  // The same where keys are times of last use that were not told to the heap as they moved on.
  std::optional<EntryId> least_recent();
  // In no order: for policies that sample. Precondition: index < size().
  EntryId entry_at(uint32_t index) const { return EntryId{at(index + (vacant_ ? 1 : 0)).entry}; }
  // Memory of the most candidates that there were: it is not given back.
  uint64_t held_bytes() const;
  // Keys of least_recent() heaps may lag behind the table, never run ahead.
  void check_invariants(bool lagging_keys) const;

 private:
  // Four children to a place: half the levels of a binary heap, and with three places left out in
  // front, siblings share a cache line.
  static constexpr uint32_t kArity = 4;
  static constexpr uint32_t kPadding = 3;

  struct Candidate {
    uint64_t key;
    uint32_t entry;
    uint32_t reserved;
  };
  static_assert(sizeof(Candidate) * kArity == 64);

  CandidateHeap(EntryTable* entries, allocator::FlatArray<Candidate> candidates)
      : entries_(entries), candidates_(std::move(candidates)) {}
  static bool is_before(const Candidate& a, const Candidate& b);
  Candidate& at(uint32_t place) { return candidates_[place + kPadding]; }
  const Candidate& at(uint32_t place) const { return candidates_[place + kPadding]; }
  // Place of the least. Precondition: not empty.
  uint32_t top() const { return vacant_ ? least_child(0) : 0; }
  // Precondition: it has one.
  uint32_t least_child(uint32_t place) const;
  void settle();
  void put(uint32_t place, const Candidate& candidate);
  void sift_up(uint32_t place, const Candidate& candidate);
  void sift_down(uint32_t place, const Candidate& candidate);
  void sift(uint32_t place, const Candidate& candidate);

  EntryTable* entries_;
  allocator::FlatArray<Candidate> candidates_;
  uint32_t size_ = 0;  // places, a vacant one included
  uint32_t most_ = 0;
  bool vacant_ = false;  // place 0 has no candidate
};

}  // namespace quire::cache
