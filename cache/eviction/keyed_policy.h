// What policies share that are one order of candidates by a key: a use or an offer computes the key
// anew, the least one goes first. What its user is done with goes before all others, in the order
// in which it was told. Threads: core only.
#pragma once

#include <optional>
#include <utility>

#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {

class KeyedPolicy : public EvictionPolicy {
 public:
  void inserted(EntryId entry, Seen) override { touched(entry); }
  void adopted(EntryId entry) override { touched(entry); }
  void used(EntryId entry, uint64_t) override {
    touched(entry);
    rank_anew(entry);
  }
  void done_with(EntryId entry) override { rank_anew(entry); }
  void offered(EntryId entry) override {
    if (!is_candidate(entry)) heap_.insert(entry, key(entry));
  }
  void withdrawn(EntryId entry) override {
    if (is_candidate(entry)) heap_.erase(entry);
  }
  std::optional<EntryId> choose() override { return heap_.least(); }
  void gone(EntryId entry) override { withdrawn(entry); }
  uint64_t held_bytes() const override { return heap_.held_bytes(); }
  void check_invariants() const override { heap_.check_invariants(false); }

 protected:
  KeyedPolicy(const PolicyParts& parts, CandidateHeap heap)
      : parts_(parts), heap_(std::move(heap)) {}

  // Above all times of the clock: what is done with keeps its time as its key, and is less.
  static constexpr uint64_t kFirstKey = 1ull << 63;
  // Of a rank, and among equal ranks the older use first. Ranks are below 2^27. The clock's
  // sixteenth wraps after 12 days of microseconds; then a tie goes the other way, once.
  static uint64_t ranked(uint64_t rank, uint64_t time) {
    return kFirstKey | rank << 36 | (time >> 4 & ((1ull << 36) - 1));
  }

  // The entry was used, or is new to the policy: it may note what it needs in the mark.
  virtual void touched(EntryId) {}
  // Of an entry that is not done with; at least kFirstKey.
  virtual uint64_t used_key(EntryId entry) const = 0;
  uint64_t key(EntryId entry) const {
    const uint64_t last = parts_.entries->last_use(entry);
    return UseClock::is_use(last) ? used_key(entry) : last;
  }
  // What its key is made of has changed.
  void rank_anew(EntryId entry) {
    if (is_candidate(entry)) heap_.set_key(entry, key(entry));
  }
  bool is_candidate(EntryId entry) const { return parts_.entries->place(entry) != 0; }
  uint64_t least_key() const { return heap_.least_key(); }

  const PolicyParts parts_;

 private:
  CandidateHeap heap_;
};

// The inflation L of GreedyDual policies: the rank of what went last. An entry's rank is the L of
// its last use plus its worth; of that L the mark keeps the low eight bits, so an entry that has
// not been used while L rose by 256 counts as one that was used later: by then it is among the
// first to go.
class Inflation {
 public:
  uint64_t now() const { return now_; }
  // Never falls: what went last may have a lower rank than one before it.
  void rise_to(uint64_t rank) { now_ = rank > now_ ? rank : now_; }
  uint8_t mark() const { return static_cast<uint8_t>(now_); }
  // The L of an entry's last use, from the low bits that its mark keeps.
  uint64_t at(uint8_t mark) const {
    const uint64_t behind = (now_ - mark) & 0xff;
    return behind > now_ ? 0 : now_ - behind;
  }

 private:
  uint64_t now_ = 0;
};

}  // namespace quire::cache
