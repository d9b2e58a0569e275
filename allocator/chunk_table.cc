#include "allocator/chunk_table.h"

namespace quire::allocator {

model::Result<ChunkTable> ChunkTable::reserve(uint32_t max_chunks) {
  ChunkTable table;
  table.records_ = QUIRE_TRY(FlatArray<ChunkRecord>::reserve(max_chunks));
  return table;
}

std::optional<ChunkId> ChunkTable::acquire() {
  if (free_head_ != 0) {
    const ChunkId id{free_head_ - 1};
    free_head_ = records_[id.value].in_segment.next;
    records_[id.value] = ChunkRecord{};
    return id;
  }
  // Freed ids first: slots of low ids keep the page table short, and memory follows its highest id.
  if (high_water_ == records_.max_count()) return std::nullopt;
  return ChunkId{high_water_++};
}

void ChunkTable::release(ChunkId id) {
  QUIRE_CHECK(is_live(id));
  records_[id.value] = ChunkRecord{};
  records_[id.value].in_segment.next = free_head_;
  free_head_ = id.value + 1;
}

}  // namespace quire::allocator
