// What the cache knows of a session and of the processes attached to it (holders).
#pragma once

#include <array>
#include <cstdint>

#include "cache/accounts/path_hold.h"
#include "cache/accounts/reservations.h"
#include "cache/accounts/retention_table.h"
#include "cache/objects/pin.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/limits.h"

namespace quire::cache {

// Of what all clients share, the part of one user: bounded, and charged to it. Threads: core only.
struct HolderShare {
  uint32_t leases = 0;
  uint32_t max_leases = UINT32_MAX;
  uint32_t kept_part = 0;  // one in so many of the table is kept from it; 0 = none
};

// A session pins its tip: the deepest span it committed or was told exists, so that the next commit
// always finds its parent. Owned by the server's session; the cache writes it.
struct CacheSession {
  model::RootId root;
  Pin tip;                   // none at first
  PathHold tip_path;         // of the tip; where no tier below RAM could take it alone
  Reservation reservation;   // what its fills and loads may count on; empty: nothing
  model::TenantId payer;     // who pays for what it does; held while it is open
  RetentionHold retention;   // class of what it writes, with its root's tenant
  bool batch_class = false;  // model::LoadClass::kBatch
  uint32_t owner_tag = 0;    // same for all turns of one conversation; never 0
  bool has_previous_checkpoint = false;
  uint32_t tail_tokens = 0;     // a checkpoint this far before a turn end stays beside it; 0: none
  uint64_t tail_namespace = 0;  // TailDistances' key
  bool learns_tail = false;     // tail_tokens follows what is learnt of it
  uint32_t interval_units = 0;  // checkpoints at multiples stay, whoever wrote them why; 0: none
  uint32_t offer_units = 0;     // offered ones are kept so far apart; 0: none is
  uint32_t last_checkpoint_units = 0;  // that it was let write last; 0: none yet
  model::Hash256
      previous_checkpoint;  // key; found again by key, so that a reused id cannot confuse
  uint32_t fill_count = 0;
  uint32_t number = 0;  // unlike that of any other session since the daemon started
  // Queue of ended fills for which others wait (Fill::next_ended), index + 1; while it is not empty
  // the session stands in the writer's queue of sessions.
  uint32_t first_ended = 0;
  uint32_t last_ended = 0;
  CacheSession* next_settling = nullptr;
  // Where the last page of each group went: the next one goes behind it.
  std::array<model::SlotId, model::kMaxGroups> last_span_slot{};
  std::array<model::SlotId, model::kMaxGroups> last_checkpoint_slot{};

  // Its path need not stay present for its sake any more; the next commit finds its parent by key,
  // or learns that it is gone.
  void let_tip_go() {
    tip.reset();
    tip_path = {};
  }
};

// One attached process's leases. Ends with its connection (law 5).
struct LeaseHolder {
  uint32_t first_lease = 0;  // index + 1 into the lease table
  uint32_t lease_count = 0;
  HolderShare* share = nullptr;  // charged for its leases; null: nobody is
  ReservationRef reservation;    // its session's; what leases pin in RAM uses it up
};

}  // namespace quire::cache
