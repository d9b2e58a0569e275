// One movement of up to 16 adjacent objects between RAM and the device, and its records.
//
//   demote:   check RAM (CRC32C) --> write headers and pages --> written
//   promote:  read headers and pages --> check each object --> in RAM
//   scrub:    read into a scratch buffer --> check --> verdict
//
// The device reads and writes pool memory itself, but for encoded objects: their stored form lies
// in a buffer of the transfer, and the worker that checks a page encodes or decodes it.
// Records are preallocated; a transfer owns the operations, headers and checks it needs, and the
// memory it names until the last of its operations came back, also when the device hangs.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/cache.h"
#include "model/ids.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_format.h"
#include "tiering/disk/stored_pages.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/io_engine.h"

namespace quire::tiering {

enum class TransferKind : uint8_t { kDemote, kPromote, kScrub };
// The order in which operations are handed to the device.
enum class TransferClass : uint8_t { kInteractive = 0, kDemote = 1, kBatch = 2, kScrub = 3 };
inline constexpr size_t kTransferClasses = 4;

enum class ObjectState : uint8_t {
  kWaiting,   // operations or checks are outstanding
  kGood,      // demote: written; promote, scrub: read and verified
  kIoFailed,  // an operation failed; demote: or it comes after one that is not written
  kCorrupt,   // what is in RAM (demote) or on the device is not what it should be
  kTooLarge,  // demote: encoded, it does not fit its slot
};

// What a worker does with the pages of an object; id = transfer * kMaxRunObjects + object.
struct ObjectTask : CopyTask {
  std::span<StoredPage> stored;  // of its header
  std::span<std::byte> slot;     // its stored form, in the transfer's buffer
  bool good = true;              // encoded: it fitted; decoded: it could be
  uint32_t sampled_page = 0;     // plain demotion: a page to try the codec on
  PageSample sample;
};

struct TransferObject {
  model::NodeId node;
  uint32_t first_page = 0;  // in Transfer::pages
  uint32_t page_count = 0;
  uint32_t ops_left = 0;
  bool failed = false;  // an operation did; the others are still awaited
  ObjectState state = ObjectState::kWaiting;
  ObjectTask check;
};

struct TransferPage {
  model::SlotId slot;         // in RAM; none for a scrub
  std::byte* data = nullptr;  // 4 KiB aligned, room for whole blocks
  uint64_t bytes = 0;         // of the page
  uint64_t slot_offset = 0;   // where it starts in its slot on the device
  uint32_t first_layer = 0;   // of its group
  uint8_t group = 0;
  bool tail = false;
};

// Objects [first, last] of a transfer wait for this operation.
struct TransferOp {
  IoOp io;
  uint8_t first_object = 0;
  uint8_t last_object = 0;
};

struct Transfer {
  uint32_t index = 0;
  bool in_use = false;
  TransferKind kind = TransferKind::kPromote;
  TransferClass priority = TransferClass::kInteractive;
  bool layer_major = false;  // promote: pages of lower layers first, over all objects
  uint32_t job = 0;          // demote, promote: of whom stands above the tier; its nodes are pinned
  SsdSlot first;
  uint32_t object_count = 0;
  uint32_t handled = 0;  // settled objects that the owner has taken note of
  std::array<TransferObject, kMaxRunObjects> objects;
  std::vector<TransferPage> pages;
  std::vector<CopyPage> checks;  // one a page
  std::vector<TransferOp> ops;
  size_t next_op = 0;  // not handed to the engine yet
  uint32_t ops_in_flight = 0;
  uint32_t checks_in_flight = 0;
  ExtentHeader* headers = nullptr;   // kMaxRunObjects of them, aligned, the table's
  std::byte* stored_form = nullptr;  // of encoded objects, a slot each; null: not encoded
  uint64_t stored_slot_bytes = 0;
  int64_t progress_ns = 0;  // of those in flight: the first was issued, or one came back
  bool hung_reported = false;
  // Demote only, for the manifest.
  RunRecord run;
  uint64_t stored_bytes = 0;  // of its operations
};

// Adds an object whose pages lie in these RAM slots, in plan order. At most kMaxRunObjects.
void add_ram_object(Transfer& transfer, cache::Cache& cache, model::NodeId node,
                    std::span<const model::SlotId> slots);
// Adds an object to be read into scratch memory, which has room for its slot.
void add_scratch_object(Transfer& transfer, cache::Cache& cache, model::NodeId node,
                        std::byte* scratch);

}  // namespace quire::tiering
