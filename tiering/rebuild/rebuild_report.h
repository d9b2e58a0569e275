// What a rebuild of the manifest found and left out.
#pragma once

#include <cstdint>
#include <string>

namespace quire::tiering {

struct RebuildReport {
  // What the new manifest holds.
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  uint64_t runs = 0;
  uint64_t roots = 0;
  // What was looked at.
  uint64_t files = 0;
  uint64_t regions = 0;
  uint64_t headers = 0;  // that check
  // Headers that were skipped.
  uint64_t damaged = 0;
  uint64_t foreign = 0;    // of another directory
  uint64_t misplaced = 0;  // name another slot than their own
  uint64_t left_over = 0;  // of an earlier slot size of their region
  uint64_t unreadable_bytes = 0;
  // Objects that were left out.
  uint64_t older_copies = 0;    // another slot holds the key with a higher generation
  uint64_t without_layout = 0;  // their layout is not in the directory
  uint64_t misfits = 0;         // not what their layout says of sizes and positions
  uint64_t stale = 0;           // of a namespace that moved to a later epoch
  uint64_t orphans = 0;         // their parent is not there
};

// One line a field: "spans 123".
std::string describe(const RebuildReport& report);

}  // namespace quire::tiering
