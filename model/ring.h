// Single-producer single-consumer ring indexes over shared memory.
//
// Pairing: the producer stores its tail with release after writing entries; the consumer loads the
// tail with acquire before reading them. The consumer stores its head with release after copying
// entries out; the producer loads the head with acquire before overwriting. Indexes run freely and
// wrap at 2^32; entry = index & (entries - 1). Each word has one writer and a cache line of its
// own.
//
// Trust: `entries` is a private copy, never read from shared memory. An index read from the other
// side is data: `readable` refuses a distance above `entries`.
//
// Sleeping: a side that is about to sleep stores 1 in its flag, then re-checks the ring behind a
// seq_cst fence; the other side, after publishing, fences and reads the flag. One of the two sees
// the other, so no wake-up is lost (Dekker).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace quire::model {

struct alignas(64) RingWord {
  std::atomic<uint32_t> value{0};
};
static_assert(sizeof(RingWord) == 64 && std::atomic<uint32_t>::is_always_lock_free);

inline constexpr bool is_power_of_two(uint64_t value) {
  return value != 0 && (value & (value - 1)) == 0;
}

// Producer's view: own tail, the consumer's head.
template <typename Entry>
class RingProducer {
 public:
  RingProducer() = default;
  // `tail` is written here, `head` by the other side; both start at 0.
  RingProducer(RingWord* tail, const RingWord* head, Entry* slots, uint32_t entries)
      : tail_word_(tail), head_word_(head), slots_(slots), entries_(entries) {}

  // Free entries; nullopt when the consumer's index is impossible (scribbled).
  std::optional<uint32_t> writable() const {
    const uint32_t used = tail_ - head_word_->value.load(std::memory_order_acquire);
    if (used > entries_) return std::nullopt;
    return entries_ - used;
  }
  // Call only while writable() > 0. Not visible before publish().
  void put(const Entry& entry) { slots_[tail_++ & (entries_ - 1)] = entry; }
  void publish() { tail_word_->value.store(tail_, std::memory_order_release); }

 private:
  RingWord* tail_word_ = nullptr;
  const RingWord* head_word_ = nullptr;
  Entry* slots_ = nullptr;
  uint32_t entries_ = 0;
  uint32_t tail_ = 0;  // private copy: the shared word is never read back
};

// Consumer's view: own head, the producer's tail.
template <typename Entry>
class RingConsumer {
 public:
  RingConsumer() = default;
  RingConsumer(RingWord* head, const RingWord* tail, const Entry* slots, uint32_t entries)
      : head_word_(head), tail_word_(tail), slots_(slots), entries_(entries) {}

  // Entries ready; nullopt when the producer's index is impossible (scribbled).
  std::optional<uint32_t> readable() const {
    const uint32_t ready = tail_word_->value.load(std::memory_order_acquire) - head_;
    if (ready > entries_) return std::nullopt;
    return ready;
  }
  // Copies the next entry out. Call only while readable() > 0.
  Entry take() {
    Entry entry = slots_[head_++ & (entries_ - 1)];
    // The copy must really be made here: without the barrier the compiler may read fields from
    // shared memory again after they were checked.
    asm volatile("" : : "r"(&entry) : "memory");
    return entry;
  }
  void publish() { head_word_->value.store(head_, std::memory_order_release); }

 private:
  RingWord* head_word_ = nullptr;
  const RingWord* tail_word_ = nullptr;
  const Entry* slots_ = nullptr;
  uint32_t entries_ = 0;
  uint32_t head_ = 0;
};

}  // namespace quire::model
