#include "server/events/event_ring.h"

#include <algorithm>
#include <array>
#include <utility>

namespace quire::server {

using model::EventRecord;

namespace {

constexpr uint64_t kFewest = 1024;

}  // namespace

model::Result<std::unique_ptr<EventRing>> EventRing::create(uint64_t bytes) {
  const uint64_t capacity = std::bit_floor(bytes / sizeof(EventRecord));
  if (capacity < kFewest) {
    return model::make_error(model::Errc::kInvalidArgument,
                             "--event_memory must hold 1,024 events of 128 bytes at least; 0 is "
                             "for none");
  }
  auto slots = QUIRE_TRY(
      allocator::FlatArray<Slot>::reserve(capacity, allocator::ReservedMemory::Pages::kSmall));
  return std::unique_ptr<EventRing>(new EventRing(std::move(slots), capacity));
}

void EventRing::push(const EventRecord& record) {
  const uint64_t position = head_.load(std::memory_order_relaxed);
  if (position - oldest_.load(std::memory_order_relaxed) == capacity_) {
    oldest_.store(position - capacity_ + 1, std::memory_order_relaxed);
  }
  const auto words = std::bit_cast<std::array<uint64_t, kWords>>(record);
  Slot& slot = slots_[position & (capacity_ - 1)];
  for (size_t i = 0; i < kWords; ++i) {
    std::atomic_ref(slot.words[i]).store(words[i], std::memory_order_release);
  }
  head_.store(position + 1, std::memory_order_release);
}

EventRing::Read EventRing::read(uint64_t& position, std::span<EventRecord> out) const {
  Read result;
  const uint64_t first = std::max(position, oldest());
  const uint64_t end = std::min(head(), first + out.size());
  std::array<uint64_t, kWords> words;
  for (uint64_t at = first; at < end; ++at) {
    Slot& slot = slots_[at & (capacity_ - 1)];
    for (size_t i = 0; i < kWords; ++i) {
      words[i] = std::atomic_ref(slot.words[i]).load(std::memory_order_acquire);
    }
    out[at - first] = std::bit_cast<EventRecord>(words);
  }
  // After the copies: what was written over meanwhile is at their front.
  const uint64_t valid = std::min(std::max(first, oldest()), std::max(first, end));
  result.lapped = valid != position;
  result.count = end > valid ? end - valid : 0;
  std::copy(out.begin() + static_cast<ptrdiff_t>(valid - first),
            out.begin() + static_cast<ptrdiff_t>(valid - first + result.count), out.begin());
  position = std::max(valid, end);
  return result;
}

}  // namespace quire::server
