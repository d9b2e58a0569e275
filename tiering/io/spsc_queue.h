// Single-producer single-consumer queue of small values in private memory.
//
// Pairing: the producer stores tail_ with release after writing the entry; the consumer loads it
// with acquire before reading. The consumer stores head_ with release after copying the entry out;
// the producer loads it with acquire before overwriting. Indexes run freely and wrap at 2^32; each
// has one writer and a cache line of its own. Each side keeps the last index it saw of the other
// and asks again only when that no longer suffices, so a busy queue does not bounce the line on
// every call. Threads: one calls push(), one calls pop(); size() by either.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "model/check.h"

namespace quire::tiering {

template <typename T>
class SpscQueue {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // `entries`: a power of two.
  explicit SpscQueue(uint32_t entries) : slots_(entries) {
    QUIRE_CHECK(std::has_single_bit(entries));
  }
  SpscQueue(const SpscQueue&) = delete;
  SpscQueue& operator=(const SpscQueue&) = delete;

  // False when full. `bytes`: of the value's front, which is all that is copied; what follows is
  // another value's when it is popped.
  bool push(const T& value, size_t bytes = sizeof(T)) {
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - seen_head_ == slots_.size()) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (tail - seen_head_ == slots_.size()) return false;
    }
    std::memcpy(&slots_[tail & (slots_.size() - 1)], &value, bytes);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // A hint: a value is pushed soon, of which so many bytes. Its memory is another processor's, or
  // nobody's, since the queue went round.
  void prefetch_push(size_t bytes) const {
    constexpr size_t kLine = 64;
    const uint32_t tail = tail_.load(std::memory_order_relaxed);
    const auto* slot = reinterpret_cast<const char*>(&slots_[tail & (slots_.size() - 1)]);
    for (size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(slot + at, 1);
    asm volatile("");  // without an effect GCC may leave nothing of a function
  }

  // False when empty.
  bool pop(T* value) {
    const uint32_t head = head_.load(std::memory_order_relaxed);
    if (head == seen_tail_) {
      seen_tail_ = tail_.load(std::memory_order_acquire);
      if (head == seen_tail_) return false;
    }
    *value = slots_[head & (slots_.size() - 1)];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  // Exact for the caller's own end, a moment old for the other.
  uint32_t size() const {
    const uint32_t head = head_.load(std::memory_order_acquire);
    return tail_.load(std::memory_order_acquire) - head;
  }

 private:
  alignas(64) std::atomic<uint32_t> tail_{0};
  uint32_t seen_head_ = 0;  // producer's
  alignas(64) std::atomic<uint32_t> head_{0};
  uint32_t seen_tail_ = 0;  // consumer's
  alignas(64) std::vector<T> slots_;
};

}  // namespace quire::tiering
