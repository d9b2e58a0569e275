// What is known of each entry of one tier, shared by all policies of it: when it was last used, how
// often, and 5 bytes that belong to the policy in charge. 12 bytes an entry, flat.
//
// An entry is a node, or on tiers that hold far more than RAM a run of 16 node ids, which one
// session fills. Because these facts are the tier's and not a policy's, a switch of policies
// carries them over without moving them.
//
// Times are those of UseClock: they order uses exactly, and are microseconds where uses come
// slower. Threads: core only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "allocator/flat_array.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

using EntryId = model::Id<struct EntryTag, uint32_t>;

// 48 bits. What is done with lies below every use, in the order in which it was told.
class UseClock {
 public:
  static constexpr uint64_t kFirstUse = 1ull << 46;  // 2.2 years of microseconds
  static bool is_use(uint64_t time) { return time >= kFirstUse; }

  // Later than every use before, and not before now.
  uint64_t next_use() { return use_ = std::max(use_ + 1, now_); }
  uint64_t next_done() { return ++done_; }
  uint64_t now() const { return std::max(use_, now_); }
  // `now_us`: monotonic, since any start.
  void advance_to(int64_t now_us) { now_ = kFirstUse + static_cast<uint64_t>(now_us); }

 private:
  uint64_t use_ = kFirstUse;
  uint64_t now_ = kFirstUse;
  uint64_t done_ = 0;
};

class EntryTable {
 public:
  static model::Result<EntryTable> create(uint64_t max_entries) {
    return EntryTable(QUIRE_TRY(allocator::FlatArray<Facts>::reserve(max_entries)));
  }

  // 0: never used.
  uint64_t last_use(EntryId entry) const {
    const Facts& facts = facts_[entry.value];
    return uint64_t{facts.time_high} << 32 | facts.time_low;
  }
  void set_last_use(EntryId entry, uint64_t time);
  // Uses after the first time; 255 stands for more.
  uint32_t uses(EntryId entry) const { return facts_[entry.value].uses; }
  void count_use(EntryId entry) { add_uses(entry, 1); }
  void add_uses(EntryId entry, uint32_t count);
  // A use of the child was a use of its parent.
  void inherit(EntryId parent, EntryId child) {
    set_last_use(parent, std::max(last_use(parent), last_use(child)));
  }
  // What is known of `from`, but for what is the policy's own.
  void copy(EntryId to, EntryId from) {
    set_last_use(to, last_use(from));
    facts_[to.value].uses = facts_[from.value].uses;
  }
  // The child goes: its parent was used whenever it was. True: also after the parent's last use.
  bool hand_up(EntryId parent, EntryId child);
  // The policy's own: a mark, and a place in its heap + 1 (0: in none).
  uint8_t mark(EntryId entry) const { return facts_[entry.value].mark; }
  void set_mark(EntryId entry, uint8_t mark) { facts_[entry.value].mark = mark; }
  uint32_t place(EntryId entry) const { return facts_[entry.value].place; }
  void set_place(EntryId entry, uint32_t place) { facts_[entry.value].place = place; }

  void clear(EntryId entry) { facts_[entry.value] = Facts{}; }
  uint32_t end_of_entries() const { return end_; }  // entries ever used are below
  uint64_t held_bytes() const { return facts_.held_bytes(end_); }

 private:
  struct Facts {
    uint32_t time_low;
    uint16_t time_high;
    uint8_t uses;
    uint8_t mark;
    uint32_t place;
  };
  static_assert(sizeof(Facts) == 12);
  explicit EntryTable(allocator::FlatArray<Facts> facts) : facts_(std::move(facts)) {}

  allocator::FlatArray<Facts> facts_;
  uint32_t end_ = 0;
};

inline void EntryTable::set_last_use(EntryId entry, uint64_t time) {
  Facts& facts = facts_[entry.value];
  facts.time_low = static_cast<uint32_t>(time);
  facts.time_high = static_cast<uint16_t>(time >> 32);
  end_ = std::max(end_, entry.value + 1);
}

inline bool EntryTable::hand_up(EntryId parent, EntryId child) {
  const uint64_t before = last_use(parent);
  inherit(parent, child);
  const uint32_t count = uses(child);
  if (count > uses(parent)) add_uses(parent, count - uses(parent));
  return count > 0 && last_use(parent) > before;
}

inline void EntryTable::add_uses(EntryId entry, uint32_t count) {
  uint8_t& uses = facts_[entry.value].uses;
  uses = static_cast<uint8_t>(std::min<uint32_t>(UINT8_MAX, uses + count));
}

}  // namespace quire::cache
