// ARC (Megiddo and Modha, FAST 2003), for a tree of which only leaves may go.
//
//   once:  used once since it came      often:  used again
//   target: how many of `once` the tier should hold. What comes back soon after it went from `once`
//   raises it, what comes back after it went from `often` lowers it.
//
// Both sides are in order of last use. The ghost lists of the original are History's fingerprints.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {
namespace {

class Arc final : public EvictionPolicy {
 public:
  Arc(const PolicyParts& parts, CandidateHeap once, CandidateHeap often)
      : entries_(parts.entries),
        history_(parts.history),
        sides_{std::move(once), std::move(often)} {}

  bool needs_history() const override { return true; }
  void inserted(EntryId entry, Seen seen) override {
    adapt(seen);
    enter(entry, seen == Seen::kNever ? kOnce : kOften);
  }
  void adopted(EntryId entry) override { enter(entry, entries_->uses(entry) > 0 ? kOften : kOnce); }
  void used(EntryId entry, uint64_t) override {
    if (side_of(entry) == kOften) return;
    const bool candidate = is_candidate(entry);
    if (candidate) sides_[kOnce].erase(entry);
    leave(entry);
    enter(entry, kOften);
    if (candidate) offered(entry);
  }
  void done_with(EntryId entry) override {
    if (is_candidate(entry)) {
      sides_[side_of(entry)].set_key(entry, entries_->last_use(entry));
    }
  }
  void offered(EntryId entry) override {
    if (!is_candidate(entry)) sides_[side_of(entry)].insert(entry, entries_->last_use(entry));
  }
  void withdrawn(EntryId entry) override {
    if (is_candidate(entry)) sides_[side_of(entry)].erase(entry);
  }
  std::optional<EntryId> choose() override;
  void gone(EntryId entry) override {
    withdrawn(entry);
    leave(entry);
  }
  uint64_t held_bytes() const override {
    return sides_[kOnce].held_bytes() + sides_[kOften].held_bytes();
  }
  void check_invariants() const override {
    for (const CandidateHeap& side : sides_) side.check_invariants(true);
  }

 private:
  enum Side : uint8_t { kOnce = 0, kOften = 1 };

  bool is_candidate(EntryId entry) const { return entries_->place(entry) != 0; }
  Side side_of(EntryId entry) const { return entries_->mark(entry) == 0 ? kOnce : kOften; }
  void enter(EntryId entry, Side side) {
    entries_->set_mark(entry, side);
    ++counts_[side];
  }
  void leave(EntryId entry) { --counts_[side_of(entry)]; }
  void adapt(Seen seen);

  EntryTable* entries_;
  const History* history_;
  std::array<CandidateHeap, 2> sides_;
  std::array<uint64_t, 2> counts_{};  // entries, candidates or not
  uint64_t target_ = 0;
};

// By how much: the rarer the side is among what was evicted, the more a return says.
void Arc::adapt(Seen seen) {
  if (seen == Seen::kNever) return;
  const uint64_t once = std::max(1u, history_->count(Seen::kOnce));
  const uint64_t often = std::max(1u, history_->count(Seen::kOften));
  if (seen == Seen::kOnce) {
    target_ =
        std::min(counts_[kOnce] + counts_[kOften], target_ + std::max<uint64_t>(1, often / once));
  } else {
    target_ -= std::min(target_, std::max<uint64_t>(1, once / often));
  }
}

std::optional<EntryId> Arc::choose() {
  const std::optional<EntryId> once = sides_[kOnce].least_recent();
  const std::optional<EntryId> often = sides_[kOften].least_recent();
  if (!once || !often) return once ? once : often;
  // What its user is done with goes before all that anybody may want.
  if (!UseClock::is_use(entries_->last_use(*often))) return often;
  if (!UseClock::is_use(entries_->last_use(*once))) return once;
  return counts_[kOnce] > target_ ? once : often;
}

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_arc(const PolicyParts& parts) {
  CandidateHeap once = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  CandidateHeap often = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(
      std::make_unique<Arc>(parts, std::move(once), std::move(often)));
}

}  // namespace quire::cache
