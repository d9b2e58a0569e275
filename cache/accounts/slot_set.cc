#include "cache/accounts/slot_set.h"

#include <utility>

#include "model/check.h"

namespace quire::cache {

void SlotSet::add(model::SlotId slot) {
  QUIRE_CHECK(count_ < kMaxSlots);
  slots_[count_++] = slot;
  reserved_.grow(pool_->page_bytes(slot));
  reservation_.use(pool_->page_bytes(slot));
}

void SlotSet::shrink(uint64_t bytes) {
  reserved_.shrink(bytes);
  reservation_.unuse(bytes);
}

void SlotSet::spend(uint32_t spent) {
  QUIRE_CHECK(spent <= count());
  // Spent, not freed: Presence charges the same bytes as used to the tenant whose node has them.
  for (uint32_t i = 0; i < spent; ++i) shrink(pool_->page_bytes(slots_[first_ + i]));
  first_ += spent;
  if (first_ == count_) first_ = count_ = 0;  // the places may be used again
}

uint32_t SlotSet::give_back() {
  const uint32_t given = count();
  for (const model::SlotId slot : slots()) pool_->free(slot);
  shrink(reserved_.bytes());
  first_ = count_ = 0;
  return given;
}

void SlotSet::swap(SlotSet& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(reserved_, other.reserved_);
  std::swap(reservation_, other.reservation_);
  std::swap(first_, other.first_);
  std::swap(count_, other.count_);
  std::swap(slots_, other.slots_);
}

}  // namespace quire::cache
