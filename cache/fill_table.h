// Fills: objects (spans, checkpoints) being written. Slots are reserved and hidden until every page
// is copied; then the object becomes visible whole (law 2), or the fill vanishes whole (law 5).
//
//   open --all pages copied--> sealed --parent visible--> linked (the record is freed)
//     \--abort, death-------------\------> aborting --no copy in flight--> freed
//
// Several processes of one session may fill one object together, each its own groups.
// Threads: core only. Fixed records in flat memory.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>

#include "allocator/flat_array.h"
#include "cache/cache_session.h"
#include "model/boundary.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::cache {

inline constexpr uint32_t kMaxFills = 1 << 15;         // of the daemon
inline constexpr uint32_t kMaxFillsPerSession = 4096;  // 1 GiB of 256 KiB pages under way
inline constexpr uint32_t kMaxPagesPerObject = 2 * model::kMaxGroups;  // groups + tail pages

enum class FillState : uint8_t { kFree = 0, kOpen, kSealed, kAborting };

using HolderTag = uint32_t;  // one attached process; never 0, never reused within a session

struct Fill {
  model::Hash256 key;
  model::Hash256 parent_key;  // chain hash at the end of the block before; the root's at 0
  CacheSession* session = nullptr;
  uint32_t end_units = 0;
  uint32_t parent_units = 0;
  model::FillKind kind = model::FillKind::kSpan;
  model::CheckpointReason reason = model::CheckpointReason::kTurnEnd;
  FillState state = FillState::kFree;
  uint8_t page_count = 0;
  uint16_t copies_in_flight = 0;
  uint16_t pages_missing = 0;
  uint32_t generation = 0;  // odd while in use
  uint32_t previous = 0;    // index + 1, session's list
  uint32_t next = 0;        // index + 1, session's or free list
  std::array<model::SlotId, kMaxPagesPerObject> slots{};
  std::array<HolderTag, kMaxPagesPerObject> claimed_by{};  // 0 = nobody yet
  std::array<uint8_t, kMaxPagesPerObject> page_state{};    // PageFill
};

enum class PageFill : uint8_t { kMissing = 0, kCopying = 1, kCopied = 2 };

class FillTable {
 public:
  static model::Result<FillTable> create();

  // kBusy at a bound. The record is in state kOpen and in the session's list.
  model::Result<model::FillId> add(CacheSession& session);
  // Null unless live and of this session.
  Fill* find(model::FillId id, const CacheSession& session);
  Fill& at(model::FillId id);
  model::FillId id_of(const Fill& fill) const;
  void remove(model::FillId id);
  // Walks a session's fills: first(session), then next(fill); null at the end.
  Fill* first(const CacheSession& session);
  Fill* next(const Fill& fill);
  uint32_t count() const { return count_; }

 private:
  allocator::FlatArray<Fill> fills_;
  uint32_t free_head_ = 0;
  uint32_t used_end_ = 0;
  uint32_t count_ = 0;
};

}  // namespace quire::cache
