// Many heaps of candidates in the memory of one: a policy that keeps an order for each of its
// classes. The heaps share one array, of which each has chunks of 256 candidates; EntryTable's
// place is that in the array, so that an entry is found without knowing its class.
//
// Least key first, equal keys by id. O(log n) a change, O(1) to look. Threads: core only. 16 bytes
// a candidate, and a chunk at most for each heap that holds something.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/eviction/entry_table.h"
#include "model/result.h"

namespace quire::cache {

class ClassHeaps {
 public:
  // `max_entries` bounds address space only.
  static model::Result<ClassHeaps> create(EntryTable* entries, uint64_t max_entries,
                                          uint32_t heap_count);

  // Precondition: in no heap.
  void insert(uint32_t heap, EntryId entry, uint64_t key);
  // Precondition: in a heap.
  void erase(EntryId entry);

  uint32_t heap_count() const { return static_cast<uint32_t>(heaps_.size()); }
  // Candidates of one class.
  uint32_t size(uint32_t heap) const { return heaps_[heap].size; }
  // Preconditions: the heap is not empty.
  EntryId least(uint32_t heap) const { return EntryId{at(heap, 0).entry}; }
  uint64_t least_key(uint32_t heap) const { return at(heap, 0).key; }
  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  static constexpr uint32_t kChunk = 256;
  struct Candidate {
    uint64_t key;
    uint32_t entry;
    uint32_t reserved;
  };
  struct Heap {
    std::vector<uint32_t> chunks;
    uint32_t size = 0;
  };
  struct ChunkOwner {
    uint32_t heap = 0;
    uint32_t number = 0;  // among the heap's chunks
  };

  ClassHeaps(EntryTable* entries, allocator::FlatArray<Candidate> store, uint32_t heap_count)
      : entries_(entries), store_(std::move(store)), heaps_(heap_count) {}
  static bool is_before(const Candidate& a, const Candidate& b) {
    return a.key != b.key ? a.key < b.key : a.entry < b.entry;
  }
  uint32_t position(uint32_t heap, uint32_t index) const {
    return heaps_[heap].chunks[index / kChunk] * kChunk + index % kChunk;
  }
  const Candidate& at(uint32_t heap, uint32_t index) const { return store_[position(heap, index)]; }
  void put(uint32_t heap, uint32_t index, const Candidate& candidate);
  void sift_up(uint32_t heap, uint32_t index, const Candidate& candidate);
  void sift_down(uint32_t heap, uint32_t index, const Candidate& candidate);
  void add_chunk(uint32_t heap);

  EntryTable* entries_;
  allocator::FlatArray<Candidate> store_;
  std::vector<Heap> heaps_;
  std::vector<ChunkOwner> owners_;  // by chunk
  std::vector<uint32_t> free_chunks_;
};

}  // namespace quire::cache
