#include "server/rings/deadline_heap.h"

#include "model/check.h"

namespace quire::server {

model::Result<DeadlineHeap> DeadlineHeap::create(uint32_t max_indexes) {
  DeadlineHeap made;
  made.places_ = QUIRE_TRY(allocator::FlatArray<uint32_t>::reserve(
      max_indexes, allocator::ReservedMemory::Pages::kSmall));
  // Each index stands here once, so the heap never grows beyond this.
  made.heap_.reserve(max_indexes);
  return made;
}

void DeadlineHeap::add(uint32_t index, int64_t deadline_ns) {
  QUIRE_CHECK(!holds(index));
  heap_.emplace_back();
  sift_up(heap_.size() - 1, {deadline_ns, index});
}

void DeadlineHeap::remove(uint32_t index) {
  if (!holds(index)) return;
  const size_t place = places_[index] - 1;
  places_[index] = 0;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  // The last one may belong above or below the gap: one of the two moves it.
  sift_down(place, last);
  sift_up(places_[last.index] - 1, last);
}

void DeadlineHeap::put(size_t place, const Entry& entry) {
  heap_[place] = entry;
  places_[entry.index] = static_cast<uint32_t>(place) + 1;
}

void DeadlineHeap::sift_up(size_t place, Entry entry) {
  while (place > 0 && entry.deadline_ns < heap_[(place - 1) / 2].deadline_ns) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, entry);
}

void DeadlineHeap::sift_down(size_t place, Entry entry) {
  for (size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    const bool right =
        child + 1 < heap_.size() && heap_[child + 1].deadline_ns < heap_[child].deadline_ns;
    if (right) ++child;
    if (heap_[child].deadline_ns >= entry.deadline_ns) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, entry);
}

void DeadlineHeap::check_invariants() const {
  for (size_t place = 0; place < heap_.size(); ++place) {
    QUIRE_CHECK(places_[heap_[place].index] == place + 1);
    QUIRE_CHECK(place == 0 || heap_[(place - 1) / 2].deadline_ns <= heap_[place].deadline_ns);
  }
}

}  // namespace quire::server
