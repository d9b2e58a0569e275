// Records of all chunks: 32 bytes each, flat, indexed by ChunkId = SlotId / 16.
//
// Freed ids are reused, last freed first, before new ones: tables stay dense. Chunks are linked
// through their records into one list a segment and, while some of their slots are free, one list
// a size class. Core thread only.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

#include "allocator/flat_array.h"
#include "model/ids.h"

namespace quire::allocator {

inline constexpr uint32_t kSlotsPerChunk = 16;

using ChunkId = model::Id<struct ChunkTag>;

// Ids + 1; 0 = none, so that zero bytes are a record in no list.
struct ChunkLinks {
  uint32_t previous;
  uint32_t next;
};

struct ChunkRecord {
  uint32_t first_granule;    // of its segment
  uint32_t segment_ordinal;  // in DomainSegments of the class's domain
  uint16_t size_class;
  uint16_t used_slots;  // bit i: slot i is given out
  uint32_t slot_count;  // 1..16; 0 = the id is free
  ChunkLinks partial;
  ChunkLinks in_segment;  // a free id: next is the free list

  uint16_t all_slots() const { return static_cast<uint16_t>((1u << slot_count) - 1); }
  bool is_full() const { return used_slots == all_slots(); }
  uint32_t used_count() const { return static_cast<uint32_t>(std::popcount(used_slots)); }
};
static_assert(sizeof(ChunkRecord) == 32);

class ChunkTable {
 public:
  // Address space for so many. kResourceExhausted.
  static model::Result<ChunkTable> reserve(uint32_t max_chunks);

  ChunkRecord& operator[](ChunkId id) { return records_[id.value]; }
  const ChunkRecord& operator[](ChunkId id) const { return records_[id.value]; }

  // nullopt: every id is in use. The record's lists and used_slots are empty.
  std::optional<ChunkId> acquire();
  // The chunk must be in no list.
  void release(ChunkId id);

  // Ids at or above this were never used.
  uint32_t high_water() const { return high_water_; }
  bool is_live(ChunkId id) const {
    return id.value < high_water_ && records_[id.value].slot_count > 0;
  }
  uint64_t resident_bytes() const { return records_.held_bytes(high_water_); }

 private:
  FlatArray<ChunkRecord> records_;
  uint32_t high_water_ = 0;
  uint32_t free_head_ = 0;  // id + 1
};

// First in, first out; any member can be taken out. Holds ids only: the links lie in the table.
template <ChunkLinks ChunkRecord::*kLinks>
class ChunkList {
 public:
  bool empty() const { return head_ == 0; }
  ChunkId front() const { return ChunkId{head_ - 1}; }  // none when empty
  static ChunkId next(const ChunkTable& table, ChunkId id) {
    return ChunkId{(table[id].*kLinks).next - 1};
  }

  void push_back(ChunkTable& table, ChunkId id) {
    table[id].*kLinks = ChunkLinks{tail_, 0};
    if (tail_ == 0) {
      head_ = id.value + 1;
    } else {
      (table[ChunkId{tail_ - 1}].*kLinks).next = id.value + 1;
    }
    tail_ = id.value + 1;
  }

  void remove(ChunkTable& table, ChunkId id) {
    const ChunkLinks links = table[id].*kLinks;
    (links.previous == 0 ? head_ : (table[ChunkId{links.previous - 1}].*kLinks).next) = links.next;
    (links.next == 0 ? tail_ : (table[ChunkId{links.next - 1}].*kLinks).previous) = links.previous;
    table[id].*kLinks = ChunkLinks{};
  }

 private:
  uint32_t head_ = 0;  // id + 1, as in the links
  uint32_t tail_ = 0;
};

}  // namespace quire::allocator
