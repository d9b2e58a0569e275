// SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is simpler than LRU, NSDI 2024), for a tree of
// which only leaves may go.
//
//   oldest [ behind: kept by the hand ] hand -> [ ahead ] newest
//
// The hand goes from old to new: what was used since it last came by stays where it is and loses
// its mark, the first one that was not goes. A use moves nothing. At the newest end the hand starts
// anew: the two heaps, in order of entering the queue, change their parts. An entry enters when it
// becomes a candidate, at the time of its last use.
#include <array>
#include <memory>
#include <utility>

#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {
namespace {

// Passed by the hand in one choice; then the one under it goes as it is.
constexpr uint32_t kPassedAtOnce = 64;

class Sieve final : public EvictionPolicy {
 public:
  Sieve(const PolicyParts& parts, CandidateHeap first, CandidateHeap second)
      : entries_(parts.entries), halves_{std::move(first), std::move(second)} {}

  void inserted(EntryId entry, Seen) override { entries_->set_mark(entry, 0); }
  // What was used again would have been found with its mark, or have lost it to the hand.
  void adopted(EntryId entry) override {
    entries_->set_mark(entry, entries_->uses(entry) > 0 ? kVisited : 0);
  }
  void used(EntryId entry, uint64_t) override {
    entries_->set_mark(entry, entries_->mark(entry) | kVisited);
  }
  void done_with(EntryId entry) override {
    const bool candidate = is_candidate(entry);
    gone(entry);
    entries_->set_mark(entry, 0);
    if (candidate) offered(entry);
  }
  void offered(EntryId entry) override {
    if (is_candidate(entry)) return;
    const uint64_t time = entries_->last_use(entry);
    const bool passed = UseClock::is_use(time) && time < hand_;
    enter(entry, passed ? behind() : ahead_, time);
  }
  void withdrawn(EntryId entry) override { gone(entry); }
  std::optional<EntryId> choose() override;
  void gone(EntryId entry) override {
    if (is_candidate(entry)) half_of(entry).erase(entry);
  }
  uint64_t held_bytes() const override { return halves_[0].held_bytes() + halves_[1].held_bytes(); }
  void check_invariants() const override {
    for (const CandidateHeap& half : halves_) half.check_invariants(false);
  }

 private:
  static constexpr uint8_t kVisited = 1;
  static constexpr uint8_t kSecondHalf = 2;

  bool is_candidate(EntryId entry) const { return entries_->place(entry) != 0; }
  uint8_t behind() const { return static_cast<uint8_t>(1 - ahead_); }
  CandidateHeap& half_of(EntryId entry) {
    return halves_[(entries_->mark(entry) & kSecondHalf) != 0 ? 1 : 0];
  }
  void enter(EntryId entry, uint8_t half, uint64_t time) {
    const uint8_t visited = entries_->mark(entry) & kVisited;
    entries_->set_mark(entry, static_cast<uint8_t>(visited | (half == 1 ? kSecondHalf : 0)));
    halves_[half].insert(entry, time);
  }

  EntryTable* entries_;
  std::array<CandidateHeap, 2> halves_;
  uint8_t ahead_ = 0;
  uint64_t hand_ = 0;  // time of entering of what it passed last
};

std::optional<EntryId> Sieve::choose() {
  for (uint32_t passed = 0;; ++passed) {
    if (halves_[ahead_].size() == 0) {
      if (halves_[behind()].size() == 0) return std::nullopt;
      ahead_ = behind();
      hand_ = 0;
    }
    CandidateHeap& ahead = halves_[ahead_];
    const EntryId next = *ahead.least();
    const uint8_t mark = entries_->mark(next);
    if ((mark & kVisited) == 0) return next;
    entries_->set_mark(next, mark & ~kVisited);
    if (passed == kPassedAtOnce) return next;
    hand_ = ahead.least_key();
    ahead.erase(next);
    enter(next, behind(), hand_);
  }
}

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_sieve(const PolicyParts& parts) {
  CandidateHeap first = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  CandidateHeap second = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(
      std::make_unique<Sieve>(parts, std::move(first), std::move(second)));
}

}  // namespace quire::cache
