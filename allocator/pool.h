// Places pages in segments (DESIGN section 4).
//
//   segment  = [chunk class A][chunk class B][free][chunk class A]...       4 KiB granules
//   chunk    = up to 16 adjacent slots of one size class; SlotId = chunk * 16 + index
//   class    = (domain, page_bytes), slot_bytes = page_bytes rounded up to 4 KiB: exact, no group
//              pays for another group's size
//
// A chunk takes at most a quarter of a segment, and fewer slots where the free run is shorter; it
// goes back to the segment with its last slot.
//
// Adjacent placement: allocate(class, after) takes the slot behind `after` when it is free, else
// the first slot of a fresh chunk (right behind the previous chunk if it can, else in its segment),
// else a free slot of the class, of the chunk that has had some for longest. So a session's run of
// blocks lies in runs of 16 adjacent slots.
//
// Invariants (check_invariants): chunks of a segment and its free extents are disjoint and
// cover it; used bits equal the slots given out; a chunk without used slots does not exist;
// byte counters equal the sum over slots.
// Threads: core only. No allocation per request after a class exists, but for vectors that grow
// with the number of segments.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "allocator/chunk_table.h"
#include "allocator/domain_segments.h"
#include "allocator/memory_events.h"
#include "allocator/page_table.h"
#include "allocator/segment.h"
#include "allocator/segment_supply.h"
#include "model/ids.h"
#include "model/metrics.h"
#include "model/result.h"

namespace quire::allocator {

using ClassId = model::Id<struct ClassTag, uint16_t>;

inline ChunkId chunk_of(model::SlotId slot) { return ChunkId{slot.value / kSlotsPerChunk}; }

struct SlotPlace {
  model::SegmentId segment;
  uint64_t offset = 0;
  std::byte* data = nullptr;  // daemon's writable mapping
};

// What the slots of one chunk have in common, for whoever walks over many of them. Stays true while
// one of them is in use.
struct ChunkView {
  ChunkId chunk;
  model::SegmentId segment;
  uint64_t offset = 0;  // of its first slot, in the segment
  uint64_t slot_bytes = 0;
  uint64_t page_bytes = 0;  // true size

  uint64_t offset_of(model::SlotId slot) const {
    return offset + slot.value % kSlotsPerChunk * slot_bytes;
  }
};

struct DomainUsage {
  model::Gauge segment_bytes{"segment_bytes", "Segments that the domain holds"};
  model::Gauge retiring_bytes{"retiring_bytes",
                              "Segments taken away but not yet gone: charged all the same"};
  model::Gauge slot_bytes{"slot_bytes", "Slots in use, rounded size"};
  model::Gauge page_bytes{"page_bytes", "Slots in use, true size"};
  model::Gauge slots{"pages", "Slots in use"};
};

struct SegmentView {
  model::SegmentId id;
  const Segment* segment = nullptr;
  uint64_t used_bytes = 0;  // slots in use
  bool set_aside = false;
};

class Pool {
 public:
  // `max_slots` bounds the page table (address space only); a chunk takes 16 slot ids even where
  // it has fewer slots. kInvalidArgument: below 16 or above 2^32 - 16; kResourceExhausted.
  // The supply outlives the pool.
  static model::Result<std::unique_ptr<Pool>> create(SegmentSupply* supply, uint64_t max_slots);
  ~Pool();

  // Finds or makes the class. kInvalidArgument: page_bytes is 0 or above the segment size;
  // kBusy: more than 65,535 classes or domains, or more than 4,096 classes of one domain.
  model::Result<ClassId> size_class(model::DomainId domain, uint64_t page_bytes);

  // Of a page of this class. Precondition: made.
  uint64_t page_bytes(ClassId size_class) const { return classes_[size_class.value].page_bytes; }

  // The domain's id will be another's. Precondition: it has no segment.
  void forget_classes(model::DomainId domain);

  // A slot in state kFilling with a new generation; nullopt: the domain's segments have no room.
  // `after` is a hint and may be stale: one that is free or of another class counts as none.
  std::optional<model::SlotId> allocate(ClassId size_class, model::SlotId after = model::SlotId{});
  // State becomes kFree; the bytes stay until the slot is reused by the same domain.
  void free(model::SlotId slot);

  enum class Growth : uint8_t { kGrew, kPending, kExhausted };
  // Gives the domain one more segment from the supply.
  Growth grow(model::DomainId domain);

  PageEntry& page(model::SlotId slot) { return pages_[slot.value]; }
  const PageEntry& page(model::SlotId slot) const { return pages_[slot.value]; }
  // Precondition of this and the next three: a slot in use.
  SlotPlace place(model::SlotId slot) const;
  uint64_t page_bytes(model::SlotId slot) const;  // true size, from the class
  // Of the chunk that a slot in use lies in.
  ChunkView chunk_view(model::SlotId slot) const;
  model::DomainId domain_of(model::SlotId slot) const;

  // All zero for a domain that never had a segment.
  DomainUsage usage(model::DomainId domain) const;
  // Slots that came back before they were sealed, so far: what holds a segment is gone.
  uint64_t given_up_count() const { return given_up_count_; }
  uint32_t domain_count() const;
  // Present segments of a domain, ascending id.
  std::vector<SegmentView> segments(model::DomainId domain) const;
  // Null: not a present segment of this domain.
  const Segment* find_segment(model::DomainId domain, model::SegmentId id) const;

  // A segment is taken away from a domain: set aside, so that no slot in it is given out, emptied
  // by whoever evicts, then retired. What is retired stays charged to the domain until its memory
  // is really gone: the caller keeps it until clients say that they unmapped it, then gives it back
  // here; collect_gone() takes what the kernel says is gone off the domains' accounts.
  struct Retired {
    model::SegmentId id;
    std::unique_ptr<Segment> segment;
  };
  void set_aside(model::DomainId domain, model::SegmentId segment, bool aside);
  // nullopt: slots of it are in use, or the domain has no such segment.
  std::optional<Retired> retire(model::DomainId domain, model::SegmentId segment);
  void give_back(model::DomainId domain, std::unique_ptr<Segment> segment);
  void collect_gone();

  // Calls visit(SlotId) for each slot in use of a segment, in no order; for emptying it by
  // eviction. visit must not allocate or free: gather first.
  template <typename Visit>
  void for_each_slot(model::SegmentId segment, Visit&& visit) const;

  const SegmentSupply& supply() const { return *supply_; }
  // Raised here for a domain whose slot was freed or that got a segment, and for all when a segment
  // is there for whoever asks; by others for what they know. Who waits for memory watches them.
  MemoryEvents& events() { return events_; }
  // Asks the supply whether something came, or failed to, since it was asked last.
  void note_supply();

  uint64_t table_bytes() const;  // memory held by page and chunk tables
  void check_invariants() const;

 private:
  struct SizeClass {
    model::DomainId domain;
    uint64_t page_bytes = 0;
    uint32_t slot_granules = 0;
    uint32_t chunk_slots = 0;                  // of a full-size chunk
    ChunkList<&ChunkRecord::partial> partial;  // chunks with a free slot
  };
  struct Domain {
    DomainSegments segments;
    DomainUsage usage;  // but for segment_bytes
    uint32_t class_count = 0;
  };

  explicit Pool(SegmentSupply* supply) : supply_(supply) {}

  Domain& domain_of(const SizeClass& size_class) { return domains_[size_class.domain.value]; }
  ChunkPlace place_of(const ChunkRecord& chunk) const;
  bool is_used(model::SlotId slot) const;
  bool is_set_aside(const ChunkRecord& chunk) const;

  std::optional<ChunkPlace> find_place(const SizeClass& size_class,
                                       const ChunkRecord* behind) const;
  std::optional<ChunkId> make_chunk(ClassId id, const ChunkRecord* behind);
  void drop_chunk(ChunkId id);
  model::SlotId give_slot(ChunkId id, uint32_t index);
  void count_slot(const ChunkRecord& chunk, bool in_use);
  void check_segment(uint32_t domain, uint32_t ordinal, DomainUsage* usage) const;
  void check_chunk(ChunkId id, std::vector<bool>* covered) const;
  void check_partial_lists() const;

  SegmentSupply* const supply_;
  FlatArray<PageEntry> pages_;
  ChunkTable chunks_;
  std::vector<SizeClass> classes_;  // page_bytes 0: free
  std::vector<ClassId> free_classes_;
  std::unordered_map<uint64_t, ClassId> class_by_size_;
  std::vector<Domain> domains_;
  MemoryEvents events_;
  uint64_t given_up_count_ = 0;
  uint32_t next_segment_id_ = 0;
  uint32_t retiring_count_ = 0;  // retired, and not yet known to be gone
};

template <typename Visit>
void Pool::for_each_slot(model::SegmentId segment, Visit&& visit) const {
  for (const Domain& domain : domains_) {
    const DomainSegments::Record* record = domain.segments.find(segment);
    if (record == nullptr) continue;
    for (ChunkId id = record->chunks.front(); id.valid(); id = record->chunks.next(chunks_, id)) {
      for (uint32_t rest = chunks_[id].used_slots; rest != 0; rest &= rest - 1) {
        visit(model::SlotId{id.value * kSlotsPerChunk +
                            static_cast<uint32_t>(std::countr_zero(rest))});
      }
    }
    return;
  }
}

}  // namespace quire::allocator
