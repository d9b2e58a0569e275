// LHD (Beckmann, Chen, Cidon: LHD: improving cache hit rate by maximizing hit density, NSDI 2018),
// for a tree of which only leaves may go.
//
// Each entry is worth its uses to come per time that it will still be held, learned by age and
// class (AgeProfile), the class being the age at its last use. As published, a choice looks at 64
// candidates drawn at random, and the least of them goes: no order is kept at all.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "cache/eviction/age_profile.h"
#include "cache/eviction/candidate_heap.h"
#include "cache/eviction/policy.h"

namespace quire::cache {
namespace {

constexpr uint32_t kSampled = 64;
constexpr uint32_t kLhdClasses = 16;
constexpr uint8_t kNew = 0;
constexpr double kFade = 1 << 14;  // events until what was learned fades
constexpr uint32_t kBinsPerClass = (AgeProfile::kBins + kLhdClasses - 2) / (kLhdClasses - 1);

class Lhd final : public EvictionPolicy {
 public:
  Lhd(const PolicyParts& parts, CandidateHeap heap)
      : entries_(parts.entries), clock_(parts.clock), facts_(parts.facts), heap_(std::move(heap)) {}

  void inserted(EntryId entry, Seen) override { entries_->set_mark(entry, kNew); }
  void adopted(EntryId entry) override { entries_->set_mark(entry, kNew); }
  void used(EntryId entry, uint64_t before) override {
    chosen_.reset();
    if (!UseClock::is_use(before)) return;
    profile_.set_interval(std::max<uint64_t>(1, static_cast<uint64_t>(kFade * facts_->share())));
    const uint64_t gap = entries_->last_use(entry) - before;
    profile_.hit(entries_->mark(entry), gap, weight());
    entries_->set_mark(entry, static_cast<uint8_t>(1 + AgeProfile::bin(gap) / kBinsPerClass));
  }
  // Those lie at the top of the heap, whose keys are of use for nothing else.
  void done_with(EntryId entry) override {
    chosen_.reset();
    if (is_candidate(entry)) heap_.set_key(entry, entries_->last_use(entry));
  }
  void offered(EntryId entry) override {
    chosen_.reset();
    if (!is_candidate(entry)) heap_.insert(entry, entries_->last_use(entry));
  }
  void withdrawn(EntryId entry) override {
    chosen_.reset();
    if (is_candidate(entry)) heap_.erase(entry);
  }
  std::optional<EntryId> choose() override {
    if (!chosen_) chosen_ = sample();
    return chosen_;
  }
  void gone(EntryId entry) override {
    withdrawn(entry);
    const uint64_t last = entries_->last_use(entry);
    if (UseClock::is_use(last)) profile_.end(entries_->mark(entry), age(last), weight());
  }
  uint64_t held_bytes() const override { return heap_.held_bytes() + profile_.held_bytes(); }
  void check_invariants() const override { heap_.check_invariants(true); }

 private:
  bool is_candidate(EntryId entry) const { return entries_->place(entry) != 0; }
  uint64_t age(uint64_t since) const { return clock_->now() - std::min(clock_->now(), since); }
  // What happens to one entry is known of so many.
  float weight() const { return static_cast<float>(1 / facts_->share()); }
  uint32_t draw() {
    random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<uint32_t>((random_ >> 33) % heap_.size());
  }
  std::optional<EntryId> sample();

  EntryTable* entries_;
  const UseClock* clock_;
  const EntryFacts* facts_;
  CandidateHeap heap_;
  AgeProfile profile_{kLhdClasses, AgeProfile::Score::kDensity};
  std::optional<EntryId> chosen_;  // until something changes
  uint64_t random_ = 1;            // the same in each run, so that a run can be repeated
};

std::optional<EntryId> Lhd::sample() {
  const std::optional<EntryId> oldest = heap_.least_recent();
  if (!oldest || !UseClock::is_use(entries_->last_use(*oldest))) return oldest;
  EntryId least = *oldest;
  float least_score = profile_.score(entries_->mark(least), age(entries_->last_use(least)));
  for (uint32_t i = 0; i < kSampled; ++i) {
    const EntryId entry = heap_.entry_at(heap_.size() <= kSampled ? i % heap_.size() : draw());
    const float score = profile_.score(entries_->mark(entry), age(entries_->last_use(entry)));
    if (score < least_score) {
      least = entry;
      least_score = score;
    }
  }
  return least;
}

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_lhd(const PolicyParts& parts) {
  CandidateHeap heap = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(std::make_unique<Lhd>(parts, std::move(heap)));
}

}  // namespace quire::cache
