// Slots for fills: what an object takes, whether it can ever be had, and the wait for it.
//
//   reserve --kHave-------------------------------------> the fill has all of its slots
//      \----kPending--> waits in its tenant's queue --woken, head--> reserve, from where it stood
//       \---kNone-----> nothing that it could have may go, and nothing comes for it
//
// Threads: core only. No allocation per request. One call evicts a bounded number.
#pragma once

#include <cstdint>
#include <optional>

#include "cache/accounts/memory_waiters.h"
#include "cache/eviction/ram_room.h"
#include "cache/fill/fill_table.h"
#include "cache/objects/object_store.h"
#include "cache/tree/namespace_table.h"
#include "model/result.h"

namespace quire::cache {

class FillMemory {
 public:
  struct Parts {
    ObjectStore* store = nullptr;
    RamRoom* room = nullptr;
    NamespaceTable* names = nullptr;
    FillTable* fills = nullptr;
    MemoryWaiters* waiters = nullptr;  // its waiters are fills, by index
  };
  explicit FillMemory(const Parts& parts) : parts_(parts) {}

  // kResourceExhausted: more than the domain can have beside the session's own path.
  model::Result<void> check_fits(const Fill& fill) const;
  // Slots that are missing, from where it stood. Precondition: nobody of its tenant waits, or it
  // was woken.
  Room reserve(Fill& fill);
  // Whether somebody of its tenant was there first.
  bool must_wait(const Fill& fill) const {
    return parts_.waiters->is_waiting(root_of(fill).tenant);
  }
  // Behind those of its tenant that wait already.
  void wait(Fill& fill);
  // Waits no more, if it did.
  void stop(const Fill& fill);
  // Those who wait are to be told once more: who was told went.
  void wake(const Fill& fill) { parts_.waiters->wake(fill.domain); }
  // A fill that may go on; none: nothing happened for anybody who waits.
  std::optional<model::FillId> next_woken();

 private:
  const Root& root_of(const Fill& fill) const;
  const model::PagePlan& plan_of(const Fill& fill) const;
  uint64_t immovable_bytes(const Fill& fill) const;
  void stay(Fill& fill, bool progress);
  Room next_slot(const Fill& fill, model::GroupIndex group, model::SlotId& slot);

  Parts parts_;
};

}  // namespace quire::cache
