// The last so many events, in fixed memory: the core writes and never waits, readers have positions
// of their own and notice what was written over.
//
//   position p lies in slot p % capacity until p + capacity is written
//   oldest <= position <= head: can be read        position < oldest: gone
//
// Pairing: the writer raises oldest_ before it writes over a slot and head_ after it wrote one;
// each word of a slot is stored with release. A reader loads head_ (acquire), copies words
// (acquire), then loads oldest_: whoever saw a word of the newer record sees the raised oldest_
// with it, and drops its copy. Both indexes only grow.
//
// Threads: push(), restart() by the core; the rest by any. Bounds: its memory, which is taken as it
// is first written.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>

#include "allocator/flat_array.h"
#include "model/event_wire.h"
#include "model/result.h"

namespace quire::server {

class EventRing {
 public:
  // Of at most `bytes`, rounded down to a power of two of records. kInvalidArgument: too few.
  // kResourceExhausted: no address space.
  static model::Result<std::unique_ptr<EventRing>> create(uint64_t bytes);

  void push(const model::EventRecord& record);
  // What was written so far can be read no more.
  void restart() {
    oldest_.store(head_.load(std::memory_order_relaxed), std::memory_order_release);
  }

  uint64_t capacity() const { return capacity_; }
  uint64_t head() const { return head_.load(std::memory_order_acquire); }
  uint64_t oldest() const { return oldest_.load(std::memory_order_acquire); }

  struct Read {
    size_t count = 0;     // records written to the front of `out`
    bool lapped = false;  // what lay at `position` was written over: it has moved on
  };
  // Copies what follows `position`, which moves behind it.
  Read read(uint64_t& position, std::span<model::EventRecord> out) const;

 private:
  static constexpr size_t kWords = sizeof(model::EventRecord) / sizeof(uint64_t);
  struct Slot {
    uint64_t words[kWords];
  };
  EventRing(allocator::FlatArray<Slot> slots, uint64_t capacity)
      : slots_(std::move(slots)), capacity_(capacity) {}

  mutable allocator::FlatArray<Slot> slots_;  // read through atomic_ref, which takes no const
  const uint64_t capacity_;
  alignas(64) std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> oldest_{0};
};

}  // namespace quire::server
