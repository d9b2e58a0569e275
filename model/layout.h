// A layout: what an engine declares at attach (DESIGN section 3). Data, never compiled in.
//
// Invariants of a validated layout: 1..64 groups with distinct names; block_tokens is a multiple of
// unit_tokens; at least one append group; a group's layer ranges are inside its page, ordered by
// offset, not empty and do not overlap; window_tokens > 0 exactly for window groups; replay only
// for window and state groups; checkpoint_every_tokens a multiple of unit_tokens exactly with
// kEvery; names are 1 to 63 printable ASCII characters; counts within model/limits.h. Values copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/element_format.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::model {

enum class GroupKind : uint8_t { kAppend = 0, kWindow = 1, kState = 2 };

// When an engine is asked to write a checkpoint that includes this group.
enum class CheckpointRule : uint8_t {
  kTurnEnds = 0,  // prompt end and output end
  kAll = 1,       // every unit boundary
  kEvery = 2,     // multiples of checkpoint_every_tokens, and turn ends
  kNone = 3,      // never: this group is rebuilt by replay
};

// How a missing window or state group can be rebuilt at a resume point (V4 report 3.5, "Zero").
struct Replay {
  uint32_t tokens = 0;  // 0 = not allowed
  bool exact = false;   // whether the rebuilt bytes equal the original ones
  friend bool operator==(const Replay&, const Replay&) = default;
};

// Bytes [offset, offset + bytes) of a page that belong to one layer's tensor.
struct LayerRange {
  uint32_t layer = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  friend bool operator==(const LayerRange&, const LayerRange&) = default;
};

struct Group {
  std::string name;
  GroupKind kind = GroupKind::kAppend;
  ElementFormat element_format = ElementFormat::kOpaque;
  uint64_t page_bytes = 0;     // of one block (append) or of one checkpoint (window, state)
  uint32_t window_tokens = 0;  // window groups only
  uint32_t shard = 0;          // which rank of shard_count writes it
  uint32_t shard_count = 1;
  CheckpointRule checkpoints = CheckpointRule::kTurnEnds;
  uint32_t checkpoint_every_tokens = 0;  // kEvery only
  Replay replay;
  std::vector<LayerRange> layers;
  friend bool operator==(const Group&, const Group&) = default;
};

struct Layout {
  std::string name;
  uint32_t unit_tokens = 0;   // A: tokens between two chain hashes
  uint32_t block_tokens = 0;  // B: tokens of one append page; a multiple of A
  std::vector<Group> groups;
  friend bool operator==(const Layout&, const Layout&) = default;

  uint32_t units_per_block() const { return block_tokens / unit_tokens; }
};

// Bit g = group g.
using GroupMask = uint64_t;
GroupMask append_groups(const Layout& layout);
// Window and state groups that checkpoints hold (rule other than kNone).
GroupMask checkpoint_groups(const Layout& layout);
// True when a resume needs a checkpoint, that is, when checkpoint_groups is not empty.
bool needs_checkpoint(const Layout& layout);

// kInvalidLayout with a text naming the group and the rule broken.
Result<void> validate(const Layout& layout);

// Canonical little-endian encoding: magic, version, fields in declaration order, lengths before
// arrays. Equal layouts give equal bytes. Also the wire form of registration.
std::vector<std::byte> encode(const Layout& layout);
// Accepts exactly one encoded layout; validates. Errors: kMalformedFrame (not the bytes of a
// layout), kInvalidLayout (a rule or bound is broken; the text names it),
// kUnsupportedVersion.
Result<Layout> decode_layout(std::span<const std::byte> bytes);
// SHA-256 of the canonical encoding.
Hash256 layout_digest(const Layout& layout);

}  // namespace quire::model
