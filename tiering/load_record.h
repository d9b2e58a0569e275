// A load under way, as the parts of Loads share it: queues order it, memory fills in its slots,
// reads issue it. Loads owns it. Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "cache/accounts/reservations.h"
#include "cache/objects/pin.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::tiering {

// Under way for one load: more than a tier has in flight, so that its device is never idle, and
// little enough that a load which comes later does not wait for all of this one.
inline constexpr uint64_t kLoadBytes = 64 << 20;
// Under way from one tier for all loads of a class. What is more waits above the tier, where it
// goes by weight; a batch load's bytes may stay at a device for long.
inline constexpr uint64_t kTierBytes = kLoadBytes;
inline constexpr uint64_t kTierBatchBytes = 16 << 20;
// Of an interactive load, whatever others have under way; of a batch one it is a piece.
inline constexpr uint64_t kOwnBytes = 16 << 20;

struct LoadRecord;
using LoadList = std::list<LoadRecord*>;

struct LoadRecord {
  uint64_t tag = 0;
  model::DomainId domain;
  model::TenantId tenant;
  model::LoadClass load_class = model::LoadClass::kInteractive;
  model::LoadOrder order = model::LoadOrder::kBlockMajor;
  int64_t started_ns = 0;
  int64_t deadline_ns = 0;
  uint64_t estimated_us = 0;
  model::TierId from{};  // where its first node lay
  std::vector<cache::Pin> nodes;

  // --- LoadMemory ---
  std::vector<model::SlotId> slots;   // reserved, of nodes [issued, reserved), flattened
  std::vector<uint32_t> slot_ends;    // in `slots`, by node
  size_t reserved = 0;                // nodes with slots, or that need none
  bool gives_way = false;             // its slots go back, so that another load may reserve
  cache::ReservationRef reservation;  // that it is under, while it lives
  uint64_t used_bytes = 0;            // of the reservation

  // --- LoadReads ---
  size_t issued = 0;
  uint64_t bytes_under_way = 0;            // of its jobs
  model::Errc failure = model::Errc::kOk;  // of the load as a whole

  // --- Loads ---
  uint64_t bytes_left = 0;  // not in RAM yet
  size_t head = 0;          // nodes [0, head) are in RAM

  // --- LoadQueues ---
  // Where it stands; kNowhere: all of it is on its way, or it ended.
  enum class Stand : uint8_t { kNowhere, kWaiting, kReading } stand = Stand::kNowhere;
  LoadList::iterator place;

  // --- LoadLooks ---
  LoadList::iterator look;
  bool is_touched = false;

  bool is_reserved() const { return reserved == nodes.size(); }
  bool is_batch() const { return load_class == model::LoadClass::kBatch; }
  // Of one of its nodes that are reserved.
  std::span<const model::SlotId> slots_of(size_t index) const {
    const uint32_t begin = index == 0 ? 0 : slot_ends[index - 1];
    return std::span(slots).subspan(begin, slot_ends[index] - begin);
  }
};

}  // namespace quire::tiering
