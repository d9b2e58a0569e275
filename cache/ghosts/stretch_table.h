// Paths of keys that some ghost may hold, as one tree for all ghosts: what makes sixty caches of
// keys affordable. A stretch is up to 16 blocks that came together and that no path has left in the
// middle so far; where one does, it is split. An id of a stretch is the id of an entry in every
// ghost.
//
//   stretch 3 [b0 b1 b2] --- stretch 4 [b3 b4]          split(4, 1): 4 keeps its end and its
//                                                       children, a new stretch gets [b3]
//
// Invariants: a child's parent is there; a stretch that nobody holds and without children is freed
// by the next collect(). Keys are 32 bits of a chain hash, which names its whole prefix: two of
// them that are taken for each other make a ghost err, no hit. Threads: one owner. Nothing is
// allocated after create().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/eviction/entry_table.h"
#include "model/result.h"

namespace quire::cache {

// Of the blocks of one layout.
struct BlockShape {
  uint32_t tokens = 0;
  uint32_t bytes = 0;  // of its pages
};

struct Stretch {
  static constexpr uint32_t kMostBlocks = 16;

  EntryId parent;  // none: the path begins here
  uint32_t children = 0;
  uint32_t holders = 0;    // ghosts that have some of it
  uint32_t anchor = 0;     // of the conversation that brought it (SampleRule)
  uint32_t end_block = 0;  // of its path
  BlockShape shape;
  uint8_t blocks = 0;   // 0: not in use
  bool loose = false;   // in the table's list of those
  bool shared = false;  // above the anchors: of many conversations
  // Chains of the two indexes, + 1.
  uint32_t next_by_first = 0;
  uint32_t next_by_last = 0;
  std::array<uint32_t, kMostBlocks> keys{};

  uint32_t begin_block() const { return end_block - blocks; }
};

// What a new stretch is made of.
struct StretchSeed {
  EntryId parent;
  std::span<const uint32_t> keys;  // 1 .. kMostBlocks
  BlockShape shape;
  uint32_t anchor = 0;
};

class StretchTable {
 public:
  explicit StretchTable(uint32_t max_stretches);

  const Stretch& at(EntryId id) const { return stretches_[id.value]; }
  uint32_t max_count() const { return static_cast<uint32_t>(stretches_.size()); }
  uint32_t used_count() const { return used_; }
  uint32_t end_of_ids() const { return end_; }

  // The child of `parent` (none: a beginning) whose first block has this key.
  std::optional<EntryId> find_child(EntryId parent, uint32_t key) const;
  // The one whose last block has this key.
  std::optional<EntryId> find_end(uint32_t key) const;
  // nullopt: the table is full.
  std::optional<EntryId> add(const StretchSeed& seed);
  // One block more at its end. Precondition: shorter than kMostBlocks, no children.
  void grow(EntryId id, uint32_t key);
  // The new stretch of its first `at` blocks, which is its parent now. Precondition: 0 < at <
  // blocks. nullopt: the table is full.
  std::optional<EntryId> split(EntryId id, uint32_t at);
  void set_shared(EntryId id) { stretches_[id.value].shared = true; }

  // A ghost has some of it, or nothing any more.
  void hold(EntryId id) { ++stretches_[id.value].holders; }
  void release(EntryId id) {
    if (--stretches_[id.value].holders == 0) note_loose(id);
  }
  // Frees what nobody holds, and what was there for its sake: after a path was served, so that what
  // one ghost gave up is still there for the next one to insert.
  void collect();

  uint64_t held_bytes() const;
  void check_invariants() const;

 private:
  static uint32_t mix(uint32_t value);
  uint32_t& first_bucket(EntryId parent, uint32_t key);
  uint32_t& last_bucket(uint32_t key);
  EntryId take();
  void note_loose(EntryId id);
  void free_upward(EntryId id);
  void link(EntryId id);
  void unlink(EntryId id);

  std::vector<Stretch> stretches_;
  std::vector<uint32_t> by_first_;  // id + 1 of a chain's beginning; a power of two
  std::vector<uint32_t> by_last_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> loose_;  // nobody held them when they were noted; each once
  uint32_t end_ = 0;             // ids ever used are below
  uint32_t used_ = 0;
};

}  // namespace quire::cache
