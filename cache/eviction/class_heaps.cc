#include "cache/eviction/class_heaps.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using allocator::FlatArray;
using model::Result;

// Each heap may have a chunk that is partly empty, and one in reserve.
Result<ClassHeaps> ClassHeaps::create(EntryTable* entries, uint64_t max_entries,
                                      uint32_t heap_count) {
  // The first touch of a huge page clears all of it, within a turn.
  constexpr auto kSmall = allocator::ReservedMemory::Pages::kSmall;
  const uint64_t places = max_entries + uint64_t{heap_count} * 2 * kChunk;
  return ClassHeaps(entries, QUIRE_TRY(FlatArray<Candidate>::reserve(places, kSmall)), heap_count);
}

void ClassHeaps::put(uint32_t heap, uint32_t index, const Candidate& candidate) {
  const uint32_t place = position(heap, index);
  store_[place] = candidate;
  entries_->set_place(EntryId{candidate.entry}, place + 1);
}

void ClassHeaps::sift_up(uint32_t heap, uint32_t index, const Candidate& candidate) {
  while (index > 0) {
    const uint32_t above = (index - 1) / 2;
    if (!is_before(candidate, at(heap, above))) break;
    put(heap, index, at(heap, above));
    index = above;
  }
  put(heap, index, candidate);
}

void ClassHeaps::sift_down(uint32_t heap, uint32_t index, const Candidate& candidate) {
  const uint64_t size = heaps_[heap].size;
  for (uint64_t child = uint64_t{index} * 2 + 1; child < size; child = uint64_t{index} * 2 + 1) {
    auto least = static_cast<uint32_t>(child);
    if (child + 1 < size && is_before(at(heap, least + 1), at(heap, least))) ++least;
    if (!is_before(at(heap, least), candidate)) break;
    put(heap, index, at(heap, least));
    index = least;
  }
  put(heap, index, candidate);
}

void ClassHeaps::add_chunk(uint32_t heap) {
  std::vector<uint32_t>& chunks = heaps_[heap].chunks;
  uint32_t chunk = static_cast<uint32_t>(owners_.size());
  if (free_chunks_.empty()) {
    owners_.emplace_back();
  } else {
    chunk = free_chunks_.back();
    free_chunks_.pop_back();
  }
  owners_[chunk] = {.heap = heap, .number = static_cast<uint32_t>(chunks.size())};
  chunks.push_back(chunk);
}

void ClassHeaps::insert(uint32_t heap, EntryId entry, uint64_t key) {
  QUIRE_CHECK(entries_->place(entry) == 0);
  Heap& one = heaps_[heap];
  if (one.size == one.chunks.size() * kChunk) add_chunk(heap);
  const uint32_t index = one.size++;
  sift_up(heap, index, Candidate{key, entry.value, 0});
}

// The last candidate takes the place of the erased one.
void ClassHeaps::erase(EntryId entry) {
  const uint32_t place = entries_->place(entry) - 1;
  QUIRE_CHECK(place / kChunk < owners_.size() && store_[place].entry == entry.value);
  // The chunk knows its heap: the entry's class may have changed since it was inserted.
  const ChunkOwner owner = owners_[place / kChunk];
  const uint32_t index = owner.number * kChunk + place % kChunk;
  Heap& heap = heaps_[owner.heap];
  entries_->set_place(entry, 0);
  const Candidate last = at(owner.heap, --heap.size);
  if (index < heap.size) {
    const bool rises = index > 0 && is_before(last, at(owner.heap, (index - 1) / 2));
    rises ? sift_up(owner.heap, index, last) : sift_down(owner.heap, index, last);
  }
  // One empty chunk stays in reserve, so that a size that goes up and down takes none each time.
  if (heap.chunks.size() >= 2 && heap.size + kChunk <= (heap.chunks.size() - 1) * kChunk) {
    free_chunks_.push_back(heap.chunks.back());
    heap.chunks.pop_back();
  }
}

uint64_t ClassHeaps::held_bytes() const {
  uint64_t bytes = owners_.capacity() * sizeof(ChunkOwner) + heaps_.capacity() * sizeof(Heap) +
                   free_chunks_.capacity() * sizeof(uint32_t);
  for (const Heap& heap : heaps_) bytes += heap.chunks.capacity() * sizeof(uint32_t);
  return bytes + store_.held_bytes(owners_.size() * kChunk);
}

void ClassHeaps::check_invariants() const {
  for (uint32_t heap = 0; heap < heap_count(); ++heap) {
    for (uint32_t i = 0; i < size(heap); ++i) {
      const Candidate& candidate = at(heap, i);
      QUIRE_CHECK(entries_->place(EntryId{candidate.entry}) == position(heap, i) + 1);
      QUIRE_CHECK(i == 0 || !is_before(candidate, at(heap, (i - 1) / 2)));
    }
  }
}

}  // namespace quire::cache
