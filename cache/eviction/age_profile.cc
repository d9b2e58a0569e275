#include "cache/eviction/age_profile.h"

#include <algorithm>
#include <cmath>

namespace quire::cache {

namespace {

constexpr float kPriorEvents = 50;        // of what all have in common, in each class
constexpr float kCommonPriorEvents = 20;  // of a use as likely in each half octave, in that
// Where nothing is known, the chance falls with the age: least recently used goes first.
constexpr float kPriorChance = 0.15F;
constexpr float kKept = 0.9F;
constexpr float kLeastFresh = 16;
constexpr float kFreshPart = 16;  // one in so many events of a class
constexpr uint32_t kClassesPerCommon = 16;

}  // namespace

// Of each bin; the last one has no end.
const std::array<float, AgeProfile::kBins - 1>& AgeProfile::lengths_us() {
  static const auto kLengths = [] {
    std::array<float, kBins - 1> lengths{};
    for (uint32_t bin = 0; bin + 1 < kBins; ++bin) {
      lengths[bin] = static_cast<float>(begin_us(bin + 1) - begin_us(bin));
    }
    return lengths;
  }();
  return kLengths;
}

double AgeProfile::begin_us(uint32_t bin) {
  return bin == 0 ? 0 : 32768 * std::exp2((bin - 1) / 2.0);
}

AgeProfile::AgeProfile(uint32_t classes, Score score) : kind_(score), classes_(classes) {
  recompute_common();
  recompute_class(classes_[0]);
  // None has seen anything yet.
  std::fill(classes_.begin() + 1, classes_.end(), classes_[0]);
}

AgeProfile::Bins AgeProfile::chances(const Class& events, const Bins& prior, float prior_weight) {
  Bins found{};
  float watched = 0;
  // From the oldest bin on: `watched` is the weight of all that reached this age.
  for (uint32_t bin = kBins; bin-- > 0;) {
    watched += events.hits[bin] + events.ends[bin];
    found[bin] = (events.hits[bin] + prior_weight * prior[bin]) / (watched + prior_weight);
  }
  return found;
}

// An entry is anywhere in its bin: half of it is behind.
void AgeProfile::score_gittins(const Bins& chances, Bins& scores) {
  const auto& lengths = lengths_us();
  for (uint32_t from = 0; from < kBins; ++from) {
    float alive = 1;
    float used = 0;
    float held = 0;
    float best = 0;
    for (uint32_t bin = from; bin + 1 < kBins; ++bin) {
      const float length = lengths[bin];
      held += alive * (bin == from ? length / 2 : length) * (1 - chances[bin] / 2);
      used += alive * chances[bin];
      alive *= 1 - chances[bin];
      best = std::max(best, used / held);
    }
    scores[from] = best;
  }
}

void AgeProfile::score_density(const Bins& chances, Bins& scores) {
  float used = 0;  // until the end of time, for one that is alive at the bin's begin
  // Above 0, so that the quotient of the last bin is defined.
  float held = 1;
  for (uint32_t bin = kBins; bin-- > 0;) {
    const auto length = static_cast<float>(begin_us(bin + 1) - begin_us(bin));
    used = chances[bin] + (1 - chances[bin]) * used;
    held = length * (1 - chances[bin] / 2) + (1 - chances[bin]) * held;
    scores[bin] = used / held;
  }
}

void AgeProfile::recompute_class(Class& one) {
  one.fresh = 0;
  const Bins found = chances(one, common_, kPriorEvents);
  kind_ == Score::kGittins ? score_gittins(found, one.scores) : score_density(found, one.scores);
}

void AgeProfile::recompute_common() {
  Class all;
  for (const Class& one : classes_) {
    for (uint32_t bin = 0; bin < kBins; ++bin) {
      all.hits[bin] += one.hits[bin];
      all.ends[bin] += one.ends[bin];
    }
  }
  Bins prior{};
  prior.fill(kPriorChance);
  common_ = chances(all, prior, kCommonPriorEvents);
}

void AgeProfile::recompute() {
  recompute_common();
  for (Class& one : classes_) recompute_class(one);
}

void AgeProfile::fade() {
  for (Class& one : classes_) {
    one.weight *= kKept;
    for (uint32_t bin = 0; bin < kBins; ++bin) {
      one.hits[bin] *= kKept;
      one.ends[bin] *= kKept;
    }
  }
}

void AgeProfile::add(uint32_t of_class, uint64_t age_us, float weight, bool is_hit) {
  Class& one = classes_[of_class];
  (is_hit ? one.hits : one.ends)[bin(age_us)] += weight;
  one.weight += weight;
  one.fresh += weight;
  if (one.fresh >= kLeastFresh && one.fresh * kFreshPart >= one.weight) {
    if (recomputed_++ % kClassesPerCommon == 0) recompute_common();
    recompute_class(one);
  }
  if (++events_ >= interval_) {
    fade();
    events_ = 0;
  }
}

}  // namespace quire::cache
