// W-TinyLFU (Einziger, Friedman, Manes: TinyLFU: a highly efficient cache admission policy, ACM
// Transactions on Storage 2017), for a tree of which only leaves may go.
//
//   new --> window (1 %) --seen more often than probation's next--> probation --used--> protected
//                 \--else--> gone                      <--least recently used-- (80 %) <--/
//
// How often a key was seen, here or before it came, is counted in a sketch: four rows of counters
// up to 15, halved after ten times as many as there are entries. All three parts are in order of
// last use, among candidates.
#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <utility>
#include <vector>

#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {
namespace {

constexpr uint32_t kWindowPart = 100;  // one in so many candidates
constexpr uint32_t kProtectedPercent = 80;
constexpr uint32_t kRows = 4;
constexpr uint8_t kMostCounted = 15;
constexpr uint32_t kSamplePart = 10;  // counts per entry before all are halved
constexpr uint32_t kMinWidth = 1 << 10;
constexpr uint32_t kLeastWidth = 1 << 4;  // of a ghost's
// Of its overflow, in one choice.
constexpr uint32_t kMovedFromWindow = 64;

class Sketch {
 public:
  // `share`: as EntryFacts::share().
  void add(uint32_t print, uint64_t entries, double share) {
    grow(static_cast<double>(entries), share);
    for (uint32_t row = 0; row < kRows; ++row) {
      uint8_t& counter = counters_[at(row, print)];
      if (counter < kMostCounted) ++counter;
    }
    if (++added_ < sample_) return;
    for (uint8_t& counter : counters_) counter /= 2;
    added_ /= 2;
  }
  uint8_t count(uint32_t print) const {
    if (width_ == 0) return 0;
    uint8_t least = kMostCounted;
    for (uint32_t row = 0; row < kRows; ++row) least = std::min(least, counters_[at(row, print)]);
    return least;
  }
  uint64_t held_bytes() const { return counters_.capacity(); }

 private:
  size_t at(uint32_t row, uint32_t print) const {
    static constexpr std::array<uint32_t, kRows> kFactors{0x9e3779b1, 0x85ebca77, 0xc2b2ae3d,
                                                          0x27d4eb2f};
    const uint32_t mixed = (print ^ print >> 15) * kFactors[row];
    return size_t{row} * width_ + (mixed >> (32 - std::countr_zero(width_)));
  }
  // Four rows of a quarter of the entries: a byte an entry. Counts start anew. A ghost's sketch is
  // as crowded as that of the tier would be, for which keys share counters counts.
  void grow(double entries, double share) {
    const auto rows = std::min(entries / share / kRows, double{1u << 26});
    const uint32_t of_tier = std::bit_ceil(std::max(kMinWidth, static_cast<uint32_t>(rows)));
    const auto scaled = static_cast<uint32_t>(of_tier * share);
    sample_ = std::max(uint64_t{1}, uint64_t{scaled} * kSamplePart);
    const uint32_t wanted = std::bit_floor(std::max(kLeastWidth, scaled + scaled / 2));
    if (width_ >= wanted) return;
    width_ = wanted;
    counters_.assign(size_t{width_} * kRows, 0);
    added_ = 0;
  }

  std::vector<uint8_t> counters_;
  uint32_t width_ = 0;
  uint64_t added_ = 0;
  uint64_t sample_ = 1;  // counts before all are halved
};

class WTinyLfu final : public EvictionPolicy {
 public:
  WTinyLfu(const PolicyParts& parts, std::array<CandidateHeap, 3> heaps)
      : entries_(parts.entries), facts_(parts.facts), heaps_(std::move(heaps)) {}

  void inserted(EntryId entry, Seen) override {
    chosen_.reset();
    enter(entry, kWindow);
    sketch_.add(facts_->fingerprint(entry), count_, facts_->share());
  }
  void adopted(EntryId entry) override {
    enter(entry, entries_->uses(entry) > 0 ? kProtected : kProbation);
  }
  void used(EntryId entry, uint64_t) override;
  void done_with(EntryId entry) override {
    chosen_.reset();
    if (is_candidate(entry)) heap_of(entry).set_key(entry, entries_->last_use(entry));
  }
  void offered(EntryId entry) override {
    chosen_.reset();
    if (!is_candidate(entry)) heap_of(entry).insert(entry, entries_->last_use(entry));
  }
  void withdrawn(EntryId entry) override {
    chosen_.reset();
    if (is_candidate(entry)) heap_of(entry).erase(entry);
  }
  std::optional<EntryId> choose() override {
    if (!chosen_) chosen_ = compare();
    return chosen_;
  }
  void gone(EntryId entry) override {
    withdrawn(entry);
    --count_;
  }
  uint64_t held_bytes() const override {
    uint64_t bytes = sketch_.held_bytes();
    for (const CandidateHeap& heap : heaps_) bytes += heap.held_bytes();
    return bytes;
  }
  void check_invariants() const override {
    for (const CandidateHeap& heap : heaps_) heap.check_invariants(true);
  }

 private:
  enum Part : uint8_t { kWindow = 0, kProbation = 1, kProtected = 2 };

  bool is_candidate(EntryId entry) const { return entries_->place(entry) != 0; }
  CandidateHeap& heap_of(EntryId entry) { return heaps_[entries_->mark(entry)]; }
  void enter(EntryId entry, Part part) {
    entries_->set_mark(entry, part);
    ++count_;
  }
  void move(EntryId entry, Part part) {
    const bool candidate = is_candidate(entry);
    withdrawn(entry);
    entries_->set_mark(entry, part);
    if (candidate) offered(entry);
  }
  std::optional<EntryId> compare();
  // The main part's next; done with before all others.
  std::optional<EntryId> main_next() {
    const auto probation = heaps_[kProbation].least_recent();
    const auto kept = heaps_[kProtected].least_recent();
    if (!probation || (kept && !UseClock::is_use(entries_->last_use(*kept)))) return kept;
    return probation;
  }

  EntryTable* entries_;
  const EntryFacts* facts_;
  std::array<CandidateHeap, 3> heaps_;
  Sketch sketch_;
  // Comparing moves entries, so the choice is kept until something else does.
  std::optional<EntryId> chosen_;
  uint64_t count_ = 0;  // entries, candidates or not
};

void WTinyLfu::used(EntryId entry, uint64_t) {
  chosen_.reset();
  sketch_.add(facts_->fingerprint(entry), count_, facts_->share());
  if (entries_->mark(entry) != kProbation) return;
  move(entry, kProtected);
  const uint64_t main = uint64_t{heaps_[kProbation].size()} + heaps_[kProtected].size();
  if (heaps_[kProtected].size() * uint64_t{100} <= main * kProtectedPercent) return;
  move(*heaps_[kProtected].least_recent(), kProbation);
}

// The window's overflow goes over to probation; the last of it has to be better than who would go
// for it.
std::optional<EntryId> WTinyLfu::compare() {
  const uint64_t all =
      uint64_t{heaps_[kWindow].size()} + heaps_[kProbation].size() + heaps_[kProtected].size();
  std::optional<EntryId> newest;
  for (uint32_t moved = 0; moved < kMovedFromWindow && heaps_[kWindow].size() > all / kWindowPart;
       ++moved) {
    const auto next = heaps_[kWindow].least_recent();
    if (!UseClock::is_use(entries_->last_use(*next))) return next;
    move(*next, kProbation);
    newest = next;
  }
  const auto main = main_next();
  if (!main) return heaps_[kWindow].least_recent();
  if (!newest || !UseClock::is_use(entries_->last_use(*main))) return main;
  const bool better =
      sketch_.count(facts_->fingerprint(*newest)) > sketch_.count(facts_->fingerprint(*main));
  return better ? main : newest;
}

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_wtinylfu(const PolicyParts& parts) {
  CandidateHeap window = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  CandidateHeap probation = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  CandidateHeap kept = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(std::make_unique<WTinyLfu>(
      parts,
      std::array<CandidateHeap, 3>{std::move(window), std::move(probation), std::move(kept)}));
}

}  // namespace quire::cache
