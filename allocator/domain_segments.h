// The segments of one domain and the free room in them. A segment has an ordinal here, small and
// reused, for 4-byte references from chunks, and an id, never reused, for clients.
// Core thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "allocator/chunk_table.h"
#include "allocator/extent_map.h"
#include "allocator/max_tree.h"
#include "allocator/segment.h"
#include "model/ids.h"

namespace quire::allocator {

// Where a chunk lies.
struct ChunkPlace {
  uint32_t ordinal = 0;
  uint32_t first_granule = 0;
  uint32_t granules = 0;
};

class DomainSegments {
 public:
  struct Record {
    model::SegmentId id;
    std::unique_ptr<Segment> segment;
    ExtentMap room;
    ChunkList<&ChunkRecord::in_segment> chunks;
    uint64_t used_bytes = 0;  // slots in use
    bool set_aside = false;   // is being emptied: its free room is not offered
  };

  // Ids must ascend. Allocates.
  void add(model::SegmentId id, std::unique_ptr<Segment> segment);
  // Takes out a segment without chunks.
  Record remove(uint32_t ordinal);
  // Its free room is not offered any more, or offered again.
  void set_aside(uint32_t ordinal, bool aside);

  Record& operator[](uint32_t ordinal) { return *records_[ordinal]; }
  const Record& operator[](uint32_t ordinal) const { return *records_[ordinal]; }
  // Ordinals of present segments, ascending by segment id.
  const std::vector<uint32_t>& by_id() const { return by_id_; }
  // Null: the domain has no such segment. O(log n).
  const Record* find(model::SegmentId id) const;
  std::optional<uint32_t> ordinal_of(model::SegmentId id) const;
  uint64_t bytes() const { return bytes_; }

  // Longest free run over all segments that are not set aside, in granules.
  uint32_t longest_run() const { return longest_run_.max(); }
  // Lowest run of so many granules: in segment `preferred` if it has one, else in any.
  std::optional<ChunkPlace> find_room(uint32_t granules,
                                      std::optional<uint32_t> preferred = std::nullopt) const;
  // Granules of a chunk leave the free room, or come back to it. Precondition: wholly free; wholly
  // taken.
  void take(const ChunkPlace& place);
  void put(const ChunkPlace& place);

  uint64_t table_bytes() const;  // of bitmaps and trees
  void check_invariants() const;

 private:
  std::vector<std::optional<Record>> records_;  // by ordinal
  std::vector<uint32_t> free_ordinals_;
  std::vector<uint32_t> by_id_;
  MaxTree longest_run_;  // by ordinal; 0 where there is no segment
  uint64_t bytes_ = 0;
};

}  // namespace quire::allocator
