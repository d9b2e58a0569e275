// Notes of hand-overs that nobody follows to their end (ClusterNotes): one that was read twice, so
// long apart, and says the same is removed, for who lives writes a beat into its own each second.
// What was read is remembered here only, so a daemon that starts begins anew; of a note that is not
// found again nothing is kept for long. Manual clock in. Threads: core only. Bounds: kMaxNotes of a
// part at a time, kMaxSeen remembered.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tiering/cluster/rados_op.h"
#include "tiering/shared_notes.h"

namespace quire::tiering {

class NoteSweep {
 public:
  explicit NoteSweep(int64_t stale_ns) : stale_ns_(stale_ns) {}

  // Reads of notes among these names, for the caller to submit. They are valid until the next call.
  std::vector<RadosOp*> look_at(std::span<const std::string> names);
  // They were answered. Removals of those that nobody needs; valid likewise.
  std::vector<RadosOp*> judge(int64_t now_ns);

 private:
  static constexpr size_t kMaxNotes = 64;
  static constexpr size_t kMaxSeen = 4096;
  struct Note {
    RadosOp op;
    std::array<char, SharedNotes::kMaxNoteBytes> bytes;
  };
  struct Seen {
    std::string value;
    int64_t since_ns = 0;  // it says so
    int64_t last_ns = 0;   // it was read
  };

  bool is_stale(const Note& note, int64_t now_ns);

  int64_t stale_ns_;
  std::vector<std::unique_ptr<Note>> notes_;  // of this part
  std::map<std::string, Seen> seen_;          // by object
};

}  // namespace quire::tiering
