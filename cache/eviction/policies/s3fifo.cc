// S3-FIFO (Yang et al., SOSP 2023), for a tree of which only leaves may go.
//
//   new --> small (a tenth) --used more than once--> main --not used since--> gone
//               \--else--> gone, remembered               \--used--> end of main, one use less
//   remembered --> main
//
// The small queue sifts out what is used once; both are queues by the time of entering them. An
// entry enters its queue when it becomes a candidate: until then something depends on it.
#include <algorithm>
#include <memory>
#include <utility>

#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {
namespace {

constexpr uint32_t kSmallPart = 10;  // one in so many candidates
constexpr uint8_t kMostUses = 3;
// Moved from queue to queue in one choice; then the first one in line goes as it is.
constexpr uint32_t kMovedAtOnce = 64;

class S3Fifo final : public EvictionPolicy {
 public:
  S3Fifo(const PolicyParts& parts, CandidateHeap small, CandidateHeap main)
      : entries_(parts.entries),
        clock_(parts.clock),
        small_(std::move(small)),
        main_(std::move(main)) {}

  bool needs_history() const override { return true; }
  void inserted(EntryId entry, Seen seen) override {
    set(entry, {.in_main = seen != Seen::kNever, .uses = 0});
  }
  // What was used again has proved itself, as what comes out of the small queue has.
  void adopted(EntryId entry) override {
    set(entry, {.in_main = entries_->uses(entry) > 1, .uses = 0});
  }
  void used(EntryId entry, uint64_t) override {
    Mark mark = get(entry);
    mark.uses = std::min<uint8_t>(mark.uses + 1, kMostUses);
    set(entry, mark);
  }
  void done_with(EntryId entry) override {
    set(entry, {.in_main = get(entry).in_main, .uses = 0});
    if (is_candidate(entry)) queue_of(entry).set_key(entry, entries_->last_use(entry));
  }
  void offered(EntryId entry) override {
    if (!is_candidate(entry)) queue_of(entry).insert(entry, entries_->last_use(entry));
  }
  void withdrawn(EntryId entry) override { gone(entry); }
  std::optional<EntryId> choose() override;
  void gone(EntryId entry) override {
    if (is_candidate(entry)) queue_of(entry).erase(entry);
  }
  uint64_t held_bytes() const override { return small_.held_bytes() + main_.held_bytes(); }
  void check_invariants() const override {
    small_.check_invariants(false);
    main_.check_invariants(false);
  }

 private:
  struct Mark {
    bool in_main = false;
    uint8_t uses = 0;  // since it entered its queue, at most kMostUses
  };
  Mark get(EntryId entry) const {
    const uint8_t mark = entries_->mark(entry);
    return {.in_main = (mark & 1) != 0, .uses = static_cast<uint8_t>(mark >> 1 & kMostUses)};
  }
  void set(EntryId entry, Mark mark) {
    entries_->set_mark(entry, static_cast<uint8_t>(mark.uses << 1 | (mark.in_main ? 1 : 0)));
  }
  bool is_candidate(EntryId entry) const { return entries_->place(entry) != 0; }
  CandidateHeap& queue_of(EntryId entry) { return get(entry).in_main ? main_ : small_; }
  void enter_main(EntryId entry, uint8_t uses);

  EntryTable* entries_;
  const UseClock* clock_;
  CandidateHeap small_;
  CandidateHeap main_;
};

void S3Fifo::enter_main(EntryId entry, uint8_t uses) {
  queue_of(entry).erase(entry);
  set(entry, {.in_main = true, .uses = uses});
  main_.insert(entry, clock_->now());
}

std::optional<EntryId> S3Fifo::choose() {
  std::optional<EntryId> first;
  for (uint32_t moved = 0; moved < kMovedAtOnce; ++moved) {
    const uint64_t all = uint64_t{small_.size()} + main_.size();
    const bool from_small =
        small_.size() > 0 && (main_.size() == 0 || small_.size() >= (all + 9) / kSmallPart);
    first = from_small ? small_.least() : main_.least();
    if (!first) return std::nullopt;
    const Mark mark = get(*first);
    const bool done = !UseClock::is_use(entries_->last_use(*first));
    if (done || mark.uses == 0 || (from_small && mark.uses == 1)) return first;
    enter_main(*first, from_small ? 0 : static_cast<uint8_t>(mark.uses - 1));
  }
  return small_.size() > 0 ? small_.least() : main_.least();
}

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_s3fifo(const PolicyParts& parts) {
  CandidateHeap small = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  CandidateHeap main = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(
      std::make_unique<S3Fifo>(parts, std::move(small), std::move(main)));
}

}  // namespace quire::cache
