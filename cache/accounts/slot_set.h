// Slots that were reserved for the pages of one object, in plan order: they go back with the set,
// unless what they were reserved for takes them over. While they are here their bytes stand as
// reserved in the account of who pays (DESIGN section 12.1, 12.4).
//
// Invariant: every slot is in state kFilling and belongs to this set alone. All-zero bytes are an
// empty set, so that records in a FlatArray may own one. Pool and accounts outlive it.
// Threads: core only. No allocation.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "allocator/pool.h"
#include "cache/accounts/account_table.h"
#include "cache/accounts/reservations.h"
#include "model/ids.h"
#include "model/limits.h"

namespace quire::cache {

class SlotSet {
 public:
  static constexpr uint32_t kMaxSlots = 2 * model::kMaxGroups;  // groups and tail pages

  SlotSet() = default;
  // Empty; `payer` is held for as long as it lives. `reservation` is what its slots use up.
  SlotSet(allocator::Pool* pool, AccountTable* accounts, model::TenantId payer,
          ReservationRef reservation = {})
      : pool_(pool),
        reserved_(accounts, payer, model::TierId::kRam, 0),
        reservation_(reservation) {}
  SlotSet(SlotSet&& other) noexcept { swap(other); }
  SlotSet& operator=(SlotSet&& other) noexcept {
    SlotSet taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~SlotSet() { give_back(); }

  // Takes a slot over. Precondition: fewer than kMaxSlots, of this pool.
  void add(model::SlotId slot);
  // The first `count` that are left have become somebody else's. Precondition: so many are left.
  void spend(uint32_t count);
  // All that are left are free again; returns how many there were.
  uint32_t give_back();

  // What is left, in the order in which it was added.
  std::span<const model::SlotId> slots() const {
    return std::span(slots_.data() + first_, count_ - first_);
  }
  uint32_t count() const { return count_ - first_; }
  model::SlotId operator[](uint32_t index) const { return slots()[index]; }

 private:
  void swap(SlotSet& other) noexcept;
  void shrink(uint64_t bytes);

  allocator::Pool* pool_ = nullptr;
  AccountHold reserved_;
  ReservationRef reservation_;
  uint32_t first_ = 0;  // those before were spent
  uint32_t count_ = 0;
  std::array<model::SlotId, kMaxSlots> slots_{};
};

}  // namespace quire::cache
