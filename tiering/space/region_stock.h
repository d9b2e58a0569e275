// Which regions there are on the device, whether they have blocks in their file, and who has them:
// nobody (free), somebody (taken), content that this start cannot place (held), or the one whose
// blocks are being given back (surplus). Knows nothing of slots.
//
//   free --take--> taken --put_back--> free        free --hold--> held --let_go--> free
//   free with blocks beyond the capacity --take_surplus--> surplus --given_back--> free
//
// The capacity is a number of regions, not the highest of them: one that has blocks counts,
// wherever it lies. What a start finds may be more than that (the operator lowered the capacity):
// then no region gets blocks until enough have given theirs back.
// Invariants: a region is in one of these states; the free ones are in one list, each at the place
// that it notes; a taken region has blocks, or the caller is making them. Threads: core only.
// Bound: kMaxRegions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

class RegionStock {
 public:
  // `max_regions`: the capacity, at most kMaxRegions.
  explicit RegionStock(uint32_t max_regions);

  // So many free regions, ascending, those with blocks before others; a region that was never used
  // before comes last. Empty: there are not as many, or the capacity forbids it. `grow`: also
  // such whose blocks are absent.
  std::vector<uint32_t> find_free(size_t count, bool grow);
  // True: its blocks were absent, and count as there from now on. Precondition: free, or never
  // seen.
  bool take(uint32_t region);
  void put_back(uint32_t region);
  // It turned out that they are not there.
  void note_absent(uint32_t region);

  // At open: nothing is taken from this region. As often as it is held, it must be let go.
  // Precondition: it is not taken. `allocated`: it has blocks.
  void hold(uint32_t region, bool allocated);
  void let_go(uint32_t region);
  // At open: the region has blocks. Nothing where somebody has it: that is known then.
  void note_blocks(uint32_t region);
  // A free region whose blocks are beyond the capacity: nobody else gets it until given_back.
  // Precondition: the one before was.
  std::optional<uint32_t> take_surplus();
  void given_back(bool blocks_are_gone);

  bool is_held(uint32_t region) const;
  bool is_taken(uint32_t region) const;
  uint32_t count() const { return static_cast<uint32_t>(regions_.size()); }  // ever used
  uint32_t max_count() const { return max_count_; }                          // the capacity
  uint32_t allocated_count() const { return allocated_count_; }
  uint32_t held_count() const { return held_count_; }
  uint32_t held_with_blocks() const { return held_with_blocks_; }  // of these
  uint64_t table_bytes() const;
  void check_invariants() const;

 private:
  enum class State : uint8_t { kFree, kTaken, kHeld, kSurplus };
  struct Region {
    State state = State::kFree;
    bool allocated = false;      // its blocks exist in the file
    uint32_t hold_count = 0;     // above 0: held
    uint32_t list_position = 0;  // of a free one in free_
  };

  void make_up_to(uint32_t region);
  void set_allocated(uint32_t region, bool allocated);
  void enter_free(uint32_t region);
  void leave_free(uint32_t region, State state);

  uint32_t max_count_;
  std::vector<Region> regions_;
  std::vector<uint32_t> free_;  // in no order
  std::optional<uint32_t> surplus_;
  uint32_t allocated_count_ = 0;
  uint32_t held_count_ = 0;
  uint32_t held_with_blocks_ = 0;
};

}  // namespace quire::tiering
