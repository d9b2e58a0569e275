// What a subscription to events tells (FrameType::kEvents): records behind each other in the pipe
// that came with the verb's reply, from kStart on.
//
//   kStart --kRoot, kStored, kRemoved, kCleared, kReadable ...-->      as it happens
//          --kSnapshotBegin --kHeld, kStored, ...--> kSnapshotEnd-->   what is there, in between
//          --kGap-->                                                   of so many nothing is known
//
// Sequence numbers: kStored, kRemoved and kCleared have one each, without holes: of everything, or
// of a user's own domain, as the subscription is. A hole is told as kGap, before what follows it.
//
// Whoever applies records in their order knows what is held: kSnapshotBegin forgets everything,
// kHeld sets on which tiers an object is, kStored adds a tier and kRemoved takes one, kCleared
// takes a root with all its objects (whose kRemoved may follow, one by one). That is exact from a
// kSnapshotEnd on until the next kGap; a kSnapshotEnd behind a gap without a kSnapshotBegin in
// between is of a snapshot that the gap broke.
//
// An object is (root, span or checkpoint, hash). Hashes are chain hashes as model/chain_hash.h
// makes them, whole: a router that knows a root's hash and the tokens of a prompt computes the
// same. No token id is told.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "model/hash256.h"
#include "model/ids.h"
#include "model/limits.h"
#include "model/wire.h"

namespace quire::model {

enum class EventKind : uint8_t {
  kStart = 1,          // the first record; count: the daemon's epoch; sequence: the next event's
  kRoot = 2,           // what a root's number stands for; an EventRoot follows
  kStored = 3,         // on that tier now
  kRemoved = 4,        // not on that tier any more
  kCleared = 5,        // nothing of the root can be hit any more, on any tier
  kGap = 6,            // of events sequence..last of this subscription nothing is known
  kSnapshotBegin = 7,  // what follows is everything that is held
  kHeld = 8,           // on these tiers now
  kSnapshotEnd = 9,    // count: records of kind kHeld since kSnapshotBegin
  kReadable = 10,      // tiers: what is there can be read; the others' content is kept, but misses
};

// Little-endian. What does not belong to a kind is 0.
struct EventRecord {
  uint8_t kind = 0;      // EventKind
  uint8_t tiers = 0;     // a bit a tier, TierId's value; of kStored and kRemoved one bit
  uint8_t fill = 0;      // FillKind: a span or a checkpoint
  uint8_t reserved = 0;  // so the next one
  uint32_t reserved_word = 0;
  uint64_t sequence = 0;       // kHeld and the snapshot's ends: of the last event before them
  uint64_t last = 0;           // kGap
  uint64_t groups = 0;         // of the layout, that have pages in the object: a bit each
  uint32_t tokens = 0;         // where the object ends
  uint32_t parent_tokens = 0;  // where its parent does; a span begins there
  uint32_t root = 0;           // number of the stream; 0: not described, for want of room
  uint32_t uid = 0;            // whose domain it is in
  int64_t time_us = 0;         // wall clock, when it was sent
  uint64_t count = 0;
  Hash256 hash;    // kRoot and kCleared: the root's, at position 0
  Hash256 parent;  // of the span that the object lies behind, else of the root
};
static_assert(sizeof(EventRecord) == 128 && std::is_trivially_copyable_v<EventRecord>);
static_assert(std::has_unique_object_representations_v<EventRecord>);

constexpr uint8_t tier_bit(TierId tier) { return static_cast<uint8_t>(1u << index_of(tier)); }

// What a group of a layout is, for routers that tell groups apart.
struct EventGroup {
  uint8_t kind = 0;  // GroupKind
  std::array<uint8_t, 3> reserved{};
  uint32_t window_tokens = 0;
};
static_assert(sizeof(EventGroup) == 8);

struct EventRoot {
  WireName domain{};
  WireName tenant{};  // empty in a shared namespace
  WireName namespace_name{};
  WireName layout{};
  Hash256 layout_digest;
  uint64_t weights_epoch = 0;
  uint32_t unit_tokens = 0;
  uint32_t block_tokens = 0;
  uint32_t group_count = 0;
  uint32_t reserved = 0;
  std::array<EventGroup, kMaxGroups> groups{};
};
static_assert(sizeof(EventRoot) == 4 * sizeof(WireName) + 32 + 24 + 8 * kMaxGroups);
static_assert(std::is_trivially_copyable_v<EventRoot>);

// How much an event stream tells beyond what happens from now on.
enum class EventSnapshot : uint8_t {
  kNever = 0,
  kAfterGaps = 1,  // one after each gap, by itself
  kAtOnce = 2,     // one at the start, and after each gap
};
inline constexpr uint8_t kEventSnapshots = 3;

}  // namespace quire::model
