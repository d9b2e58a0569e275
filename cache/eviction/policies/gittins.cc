// Quire's own. Room on a tier is let for the time in which it is most likely to bring a use: each
// entry has a Gittins index (Gittins: Bandit processes and dynamic allocation indices, 1979), the
// best ratio of the chance of a use to the time held until then, over all times at which one could
// give up. The least index goes. Nothing of it is set beforehand: when entries are used again, by
// class and age, is learned (AgeProfile) from what is on the tier and from a sample of what left it
// or was not let on it (WatchList).
//
// A class is what says most about the reuse of sessions, of facts that every entry has:
//   uses     how often it was used again: 0, 1, 2-3, 4-15, more
//   gap      between the last two turns, by which a pause of a tool call, of a person and the end
//            of a conversation differ; what is new has the gap of what it continues, but none where
//            several continue the same
//   place    how far behind the point from which the turn that wrote it had to compute
// Within a class the one that was used longest ago goes first. What would go sooner than who would
// go for it is not admitted, where the tier can do without.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "cache/eviction/age_profile.h"
#include "cache/eviction/class_heaps.h"
#include "cache/eviction/policy.h"
#include "cache/eviction/watch_list.h"

namespace quire::cache {
namespace {

constexpr uint32_t kGapKinds = 8;    // 0: not known, or a prompt that nothing was known of
constexpr uint32_t kPlaceKinds = 4;  // 0: was used since it came
constexpr uint32_t kUseKinds = 5;
constexpr uint32_t kClasses = kGapKinds * kPlaceKinds * kUseKinds;
constexpr uint8_t kFarthest = 15;
constexpr uint64_t kFadePerEntry = 8;  // events for each entry until what was learned fades
constexpr uint64_t kLeastFade = 1 << 16;
// Whose parent has so many children begins something of its own: its parent's past is of others.
// Two are one conversation, of which a template has rewritten the end.
constexpr uint32_t kSharedChildren = 3;

// Borders between a machine's steps, a tool's, a person's, and what has been left.
constexpr std::array<uint64_t, kGapKinds - 2> kGapEndsUs{5'000'000,   15'000'000,  40'000'000,
                                                         120'000'000, 400'000'000, 1'500'000'000};

uint32_t gap_kind(uint64_t gap_us) {
  const auto* end = std::upper_bound(kGapEndsUs.begin(), kGapEndsUs.end(), gap_us);
  return 1 + static_cast<uint32_t>(end - kGapEndsUs.begin());
}

uint32_t use_kind(uint32_t uses) { return uses < 2 ? uses : uses < 4 ? 2 : uses < 16 ? 3 : 4; }

uint32_t place_kind(uint32_t place) { return place == 0 ? 0 : place <= 2 ? 1 : place <= 8 ? 2 : 3; }

class GittinsPolicy final : public EvictionPolicy {
 public:
  GittinsPolicy(const PolicyParts& parts, ClassHeaps heaps, WatchList watched)
      : parts_(parts), heaps_(std::move(heaps)), watched_(std::move(watched)) {
    watched_.tell(&profile_);
  }

  bool needs_history() const override { return true; }
  void inserted(EntryId entry, Seen) override;
  void adopted(EntryId entry) override {
    set_mark(entry, {});
    note_count(1);
  }
  void used(EntryId entry, uint64_t before) override;
  void handed_up(EntryId parent, EntryId child, uint64_t before) override;
  void done_with(EntryId entry) override {
    if (!is_candidate(entry)) return;
    withdrawn(entry);
    offered(entry);
  }
  void offered(EntryId entry) override {
    if (!is_candidate(entry)) heaps_.insert(class_of(entry), entry, last_use(entry));
  }
  void withdrawn(EntryId entry) override {
    if (is_candidate(entry)) heaps_.erase(entry);
  }
  std::optional<EntryId> choose() override {
    const auto least = find_least();
    if (!least) return std::nullopt;
    return heaps_.least(least->of_class);
  }
  bool admits(const Newcomer& newcomer) override;
  void gone(EntryId entry) override;
  uint64_t held_bytes() const override {
    return heaps_.held_bytes() + profile_.held_bytes() + watched_.held_bytes();
  }
  void check_invariants() const override { heaps_.check_invariants(); }

 private:
  struct Mark {
    uint8_t gap = 0;    // its kind
    uint8_t place = 0;  // 0: was used since it came; else spans behind what was there, up to 15
  };
  struct Least {
    uint32_t of_class = 0;
    float score = 0;
  };

  static uint32_t class_of(uint32_t uses, Mark mark) {
    return (use_kind(uses) * kPlaceKinds + place_kind(mark.place)) * kGapKinds + mark.gap;
  }
  uint32_t class_of(EntryId entry) const {
    return class_of(parts_.entries->uses(entry), mark(entry));
  }
  Mark mark(EntryId entry) const {
    const uint8_t mark = parts_.entries->mark(entry);
    return {.gap = static_cast<uint8_t>(mark & 7), .place = static_cast<uint8_t>(mark >> 3)};
  }
  void set_mark(EntryId entry, Mark mark) {
    parts_.entries->set_mark(entry, static_cast<uint8_t>(mark.gap | mark.place << 3));
  }
  uint64_t last_use(EntryId entry) const { return parts_.entries->last_use(entry); }
  bool is_candidate(EntryId entry) const { return parts_.entries->place(entry) != 0; }
  uint64_t age(uint64_t since) const {
    return parts_.clock->now() - std::min(parts_.clock->now(), since);
  }
  // What happens to one entry is known of so many.
  float weight() const { return static_cast<float>(1 / parts_.facts->share()); }
  // Of a new entry; `coming`: children of its parent that are not there yet.
  Mark mark_below(const std::optional<EntryId>& parent, uint32_t coming) const;
  std::optional<Least> find_least() const;
  void note_count(int64_t change);

  const PolicyParts parts_;
  ClassHeaps heaps_;
  AgeProfile profile_{kClasses, AgeProfile::Score::kGittins};
  WatchList watched_;
  uint64_t count_ = 0;
};

void GittinsPolicy::note_count(int64_t change) {
  count_ += static_cast<uint64_t>(change);
  if (change < 0) return;
  watched_.set_held(count_, parts_.facts->share());
  const auto least = static_cast<uint64_t>(kLeastFade * parts_.facts->share());
  profile_.set_interval(std::max(least, count_ * kFadePerEntry));
}

// A turn writes behind what it found: what it found has its gap, what it wrote counts on from
// there.
GittinsPolicy::Mark GittinsPolicy::mark_below(const std::optional<EntryId>& parent,
                                              uint32_t coming) const {
  if (!parent) return {.gap = 0, .place = 1};
  if (parts_.facts->children(*parent) + coming >= kSharedChildren) return {.gap = 0, .place = 1};
  const Mark above = mark(*parent);
  const bool is_new = parts_.entries->uses(*parent) == 0;
  const uint32_t place = is_new ? above.place + parts_.facts->spans(*parent) : 1;
  return {.gap = above.gap, .place = static_cast<uint8_t>(std::min<uint32_t>(place, kFarthest))};
}

// What was here lately is as if it had been used, though not known how often.
void GittinsPolicy::inserted(EntryId entry, Seen seen) {
  Mark mark = mark_below(parts_.facts->parent(entry), 0);
  if (const auto found =
          watched_.take(parts_.facts->fingerprint(entry), parts_.clock->now(), weight())) {
    mark.gap = static_cast<uint8_t>(gap_kind(age(found->last_use)));
    mark.place = 0;
  } else if (seen != Seen::kNever) {
    mark.place = 0;
  }
  set_mark(entry, mark);
  note_count(1);
}

void GittinsPolicy::used(EntryId entry, uint64_t before) {
  const bool candidate = is_candidate(entry);
  if (candidate) heaps_.erase(entry);
  if (UseClock::is_use(before)) {
    profile_.together(last_use(entry), weight());
    const uint32_t uses = parts_.entries->uses(entry);
    const uint64_t gap = last_use(entry) - before;
    profile_.hit(class_of(uses == 0 ? 0 : uses - 1, mark(entry)), gap, weight());
    set_mark(entry, {.gap = static_cast<uint8_t>(gap_kind(gap)), .place = 0});
  }
  if (candidate) offered(entry);
}

// Uses that nobody told came between `before` and the last one: the gap is the child's, and how
// long it was is no news.
void GittinsPolicy::handed_up(EntryId parent, EntryId child, uint64_t) {
  const bool candidate = is_candidate(parent);
  if (candidate) heaps_.erase(parent);
  set_mark(parent, {.gap = mark(child).gap, .place = 0});
  if (candidate) offered(parent);
}

// Done with before all that was used, in the order in which it was told.
std::optional<GittinsPolicy::Least> GittinsPolicy::find_least() const {
  std::optional<Least> least;
  uint64_t least_done = UseClock::kFirstUse;
  for (uint32_t of_class = 0; of_class < kClasses; ++of_class) {
    if (heaps_.size(of_class) == 0) continue;
    const uint64_t key = heaps_.least_key(of_class);
    if (!UseClock::is_use(key)) {
      if (key < least_done) least = Least{.of_class = of_class, .score = 0};
      least_done = std::min(least_done, key);
      continue;
    }
    if (least_done != UseClock::kFirstUse) continue;
    const float score = profile_.score(of_class, age(key));
    const bool older = least && score == least->score && key < heaps_.least_key(least->of_class);
    if (!least || score < least->score || older) least = Least{of_class, score};
  }
  return least;
}

bool GittinsPolicy::admits(const Newcomer& newcomer) {
  const auto least = find_least();
  if (!least) return true;
  const Mark mark = mark_below(newcomer.parent, 1);
  const uint32_t of_class = class_of(0, mark);
  if (profile_.score(of_class, 0) >= least->score) return true;
  const uint64_t now = parts_.clock->now();
  watched_.take(newcomer.fingerprint, now, weight());  // it was refused before, and came back
  watched_.add(
      {.last_use = now, .print = newcomer.fingerprint, .of_class = static_cast<uint16_t>(of_class)},
      now, weight());
  return false;
}

void GittinsPolicy::gone(EntryId entry) {
  withdrawn(entry);
  note_count(-1);
  if (!UseClock::is_use(last_use(entry))) return;
  watched_.add({.last_use = last_use(entry),
                .print = parts_.facts->fingerprint(entry),
                .of_class = static_cast<uint16_t>(class_of(entry))},
               parts_.clock->now(), weight());
}

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_gittins(const PolicyParts& parts) {
  ClassHeaps heaps = QUIRE_TRY(ClassHeaps::create(parts.entries, parts.max_entries, kClasses));
  WatchList watched = QUIRE_TRY(WatchList::create());
  return std::unique_ptr<EvictionPolicy>(
      std::make_unique<GittinsPolicy>(parts, std::move(heaps), std::move(watched)));
}

}  // namespace quire::cache
