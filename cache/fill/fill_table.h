// Fills: objects (spans, checkpoints) being written. Slots are reserved and hidden until every page
// is copied; then the object becomes visible whole (law 2), or the fill vanishes whole (law 5).
//
//   reserving --all slots--> open --all pages copied--> sealed --linked, or dropped--> ended -->
//   freed
//     \--deadline, death-------\--abort, death------------\---- deadline, death ------^
//
// Freed is it once no copy is in flight and nobody waits for it. One that reserves waits for
// memory.
//
// Several processes of one session may fill one object together, each its own groups. A session has
// at most one fill of an object that is not ended: found by position and key (find). A sealed
// object whose parent span is such a fill waits in that fill's list. Position grows from a parent
// to what waits for it, so nothing waits in a circle. Several sessions may fill one object, each
// its own; one of them, the first, is known by the object (find_foreign), for those who would
// rather not write it twice.
//
// Bounds: kMaxFills, kMaxFillsPerSession, and a domain gets no more than it leaves free, so that
// one always remains for another domain. Threads: core only. Fixed records in flat memory.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>

#include "allocator/flat_array.h"
#include "cache/accounts/slot_set.h"
#include "cache/fill/cache_session.h"
#include "cache/tree/chain_index.h"
#include "cache/tree/namespace_table.h"
#include "model/boundary.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::cache {

inline constexpr uint32_t kMaxFills = 1 << 15;         // of the daemon
inline constexpr uint32_t kMaxFillsPerSession = 4096;  // 1 GiB of 256 KiB pages under way
inline constexpr uint32_t kMaxPagesPerObject = SlotSet::kMaxSlots;

enum class FillState : uint8_t { kFree = 0, kReserving, kOpen, kSealed, kEnded };

using HolderTag = uint32_t;  // one attached process; never 0, never reused within a session
// Wrote its pages and ended: another process may write them again.
inline constexpr HolderTag kGoneHolder = UINT32_MAX;

// Where an object belongs, in its session.
struct FillPlace {
  model::Hash256 key;
  model::FillKind kind = model::FillKind::kSpan;
  uint32_t end_units = 0;
};

// The span before an object.
struct ParentSpan {
  model::Hash256 key;  // chain hash at its end; the root's where `units` is 0
  uint32_t units = 0;
};

struct Fill {
  model::Hash256 key;
  CacheSession* session = nullptr;
  uint32_t end_units = 0;
  ParentSpan parent;
  model::DomainId domain;
  model::FillKind kind = model::FillKind::kSpan;
  model::CheckpointReason reason = model::CheckpointReason::kTurnEnd;
  FillState state = FillState::kFree;
  uint16_t copies_in_flight = 0;
  uint16_t pages_missing = 0;
  uint32_t generation = 0;  // odd while in use
  uint32_t next = 0;        // index + 1, free list
  // Index + 1 each. Sealed: the fill of the parent span, and its neighbours in that one's list.
  uint32_t waits_for = 0;
  uint32_t previous_waiting = 0;
  uint32_t next_waiting = 0;
  uint32_t first_waiting = 0;  // the list of those that wait for this one, oldest first
  uint32_t last_waiting = 0;
  uint32_t next_ended = 0;  // the session's queue
  bool in_ended_queue = false;
  bool known_by_object = false;  // find_foreign() finds it
  SlotSet slots;                 // of its pages, in plan order; none once a node has them
  std::array<HolderTag, kMaxPagesPerObject> claimed_by{};  // 0 = nobody yet
  std::array<uint8_t, kMaxPagesPerObject> page_state{};    // PageFill
};

enum class PageFill : uint8_t { kMissing = 0, kCopying = 1, kCopied = 2 };

}  // namespace quire::cache

// Of what it holds, slots alone are owned.
template <>
inline constexpr bool quire::allocator::kValidAsZero<quire::cache::Fill> = true;

namespace quire::cache {

class FillTable {
 public:
  static model::Result<FillTable> create(uint64_t seed);

  // kBusy at a bound. The record is in state kReserving. Precondition: no fill of this place but
  // ended ones.
  model::Result<model::FillId> add(CacheSession& session, model::DomainId domain,
                                   const FillPlace& place);
  // Null unless live and of this session.
  Fill* find(model::FillId id, const CacheSession& session);
  // The fill of this object that has not ended; null: none.
  Fill* find(const CacheSession& session, const FillPlace& place);
  // A fill of this object by another session of the root, not ended; null: none is known.
  Fill* find_foreign(const CacheSession& session, const FillPlace& place);
  // Precondition: an id of the daemon's own that is live or ended.
  Fill& at(model::FillId id);
  model::FillId id_of(const Fill& fill) const;
  // Below kMaxFills; another fill's once this one was freed.
  uint32_t number_of(const Fill& fill) const { return encode(fill) - 1; }
  model::FillId id_of(uint32_t number) const { return id_of(fills_[number]); }
  // The object may be begun anew.
  void end(Fill& fill);
  // Precondition: ended, nobody waits for it, it is in no queue.
  void remove(Fill& fill);

  // `fill`, sealed, waits for `parent`, which has not ended.
  void wait(Fill& fill, Fill& parent);
  // Out of its parent's list; nothing happens when it waits for nobody.
  void stop_waiting(Fill& fill);
  Fill* first_waiting(const Fill& parent) { return from(parent.first_waiting); }
  // The session's queue of ended fills. enqueue: true when it was empty.
  bool enqueue_ended(Fill& fill);
  Fill* first_ended(const CacheSession& session) { return from(session.first_ended); }
  void dequeue_ended(CacheSession& session);

  // Sweeps look at every index below; null where no fill of this session is.
  uint32_t end_of_indexes() const { return used_end_; }
  Fill* at_index(uint32_t index, const CacheSession& session);
  // Of all states but free.
  uint32_t count() const { return count_; }
  void check_invariants() const;

 private:
  FillTable(allocator::FlatArray<Fill> fills, ChainIndex places, ChainIndex objects);
  Fill* from(uint32_t plus_one) { return plus_one == 0 ? nullptr : &fills_[plus_one - 1]; }
  uint32_t encode(const Fill& fill) const {
    return static_cast<uint32_t>(&fill - fills_.data()) + 1;
  }
  uint64_t hash_of(const CacheSession& session, const FillPlace& place) const;
  uint64_t hash_of_object(const CacheSession& session, const FillPlace& place) const;
  Fill* find_first(const CacheSession& session, const FillPlace& place);

  allocator::FlatArray<Fill> fills_;
  ChainIndex places_;   // of fills that have not ended, by index
  ChainIndex objects_;  // of these one an object, so that equal ones do not pile up in a bucket
  std::array<uint32_t, kMaxDomains> by_domain_{};
  uint32_t free_head_ = 0;
  uint32_t used_end_ = 0;
  uint32_t count_ = 0;
};

}  // namespace quire::cache
