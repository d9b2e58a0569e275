// A load, from the moment that it was taken: what it asked for, and how far it has come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/serve/lease_table.h"
#include "cache/serve/run_writer.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/ring_frames.h"

namespace quire::cache {

// A load that was taken: its range is pinned.
struct Load {
  model::LoadResult result{};  // of all of it; valid when nothing is missing
  // kResourceExhausted: more runs than there was room for; nothing is delivered.
  model::Errc code = model::Errc::kOk;
  size_t missing_count = 0;  // nodes that are not in RAM
  bool is_damaged = false;   // something of it may have been quarantined
  model::LeaseId lease;
  model::RootId root;
  model::NodeId last;        // span that ends the range
  model::NodeId checkpoint;  // asked for, else none
  model::GroupMask groups = 0;
  model::LoadForm form = model::LoadForm::kPages;
  uint32_t turn = 0;         // of the lease
  uint32_t range_index = 0;  // in Lease::loads
  uint32_t first_block = 0;  // of the context
  uint32_t block_count = 0;
  uint32_t pages_per_span = 0;

  // All of it was in RAM and good: it is delivered.
  bool is_whole() const { return missing_count == 0 && !is_damaged; }
};

// Where a load is written down.
struct LoadTarget {
  // The client's room: of LoadForm::kRuns too, whose entries have the same size.
  std::span<model::PageDescriptor> out;
  std::vector<model::SlotId>* slots = nullptr;  // of each page, where they are wanted
  RunWriter* runs = nullptr;                    // LoadForm::kRuns
};

// A load whose range is being pinned, from its end on. What is pinned so far is the lease's, and
// goes with it. One may serve many loads, one after the other: its vectors keep their memory.
struct PendingLoad {
  Load load;
  LoadHold hold;
  std::vector<model::NodeId> missing;  // once all is pinned: head of the range first
  std::vector<model::SlotId> slots;    // of each page, where they are wanted
  bool slots_wanted = false;
  RunWriter runs;          // LoadForm::kRuns
  model::NodeId next;      // to be pinned; before the first: above it on the path
  uint32_t end_units = 0;  // where the range ends
  uint32_t blocks_left = 0;
  uint64_t quarantined_before = 0;  // objects in all, when it began

  // False between two loads: the record waits for the next one.
  bool is_under_way() const { return load.lease.valid(); }
  LoadTarget target(std::span<model::PageDescriptor> out) {
    return {out, slots_wanted ? &slots : nullptr, &runs};
  }
};

// What a load that had waited delivers.
struct DeliveredLoad {
  model::LoadResult result{};
  model::Errc code = model::Errc::kOk;  // as Load::code
  // Every page that was asked for: of its groups the checkpoint, or a block, may have none at all.
  bool whole = false;
};

// A load that had waited, being written down in pieces: first how much of it came, then what did
// not is let go, then what did is written.
struct Delivery {
  enum class Phase : uint8_t { kLook, kLetGo, kWrite };

  Load load;
  Phase phase = Phase::kLook;
  model::NodeId next;  // to be looked at, or written
  uint32_t left = 0;   // blocks of this phase, from the start of the range
  uint32_t ready = 0;  // blocks that will be delivered
  uint32_t out_count = 0;
  uint64_t quarantined_before = 0;  // objects in all, when the look began
  bool slots_wanted = false;
  std::vector<model::SlotId> slots;  // of each page, where they are wanted
  RunWriter runs;                    // LoadForm::kRuns
  DeliveredLoad delivered;

  LoadTarget target(std::span<model::PageDescriptor> out) {
    return {out, slots_wanted ? &slots : nullptr, &runs};
  }
};

}  // namespace quire::cache
