#include "cache/eviction/age_profile.h"

#include <algorithm>
#include <cmath>

namespace quire::cache {

namespace {

// Of a prior: of what all have in common, in each class, and of a use as likely in each half
// octave, in that. In requests for the first score, in events for the second.
struct PriorEvents {
  float of_class;
  float of_common;
};
constexpr PriorEvents kGittinsPrior{.of_class = 10, .of_common = 5};
constexpr PriorEvents kDensityPrior{.of_class = 50, .of_common = 20};
// Where nothing is known, the chance falls with the age: least recently used goes first.
constexpr float kPriorChance = 0.15F;
constexpr float kKept = 0.9F;
constexpr float kLeastFresh = 16;
constexpr float kFreshPart = 16;  // one in so many events of a class
constexpr uint32_t kClassesPerCommon = 16;

const PriorEvents& prior_of(AgeProfile::Score kind) {
  return kind == AgeProfile::Score::kGittins ? kGittinsPrior : kDensityPrior;
}

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

AgeProfile::Bins AgeProfile::chances(const Class& events, const Bins& prior,
                                     float prior_weight) const {
  const Bins hits = smooth(events.hits);
  const Bins there = smooth(events.there);
  Bins found{};
  for (uint32_t bin = 0; bin < kBins; ++bin) {
    found[bin] = (hits[bin] + prior_weight * prior[bin]) / (there[bin] + prior_weight);
  }
  return found;
}

// With half of each neighbour.
AgeProfile::Bins AgeProfile::smooth(const Bins& bins) const {
  if (kind_ == Score::kDensity) return bins;
  Bins smoothed{};
  for (uint32_t bin = 0; bin < kBins; ++bin) {
    const float younger = bins[bin == 0 ? 0 : bin - 1];
    const float older = bins[bin + 1 == kBins ? bin : bin + 1];
    smoothed[bin] = bins[bin] / 2 + (younger + older) / 4;
  }
  return smoothed;
}

float AgeProfile::score(uint32_t of_class, uint64_t age_us) const {
  const Bins& scores = classes_[of_class].scores;
  if (kind_ == Score::kDensity) return scores[bin(age_us)];
  const auto age = static_cast<float>(age_us) / kFirstBinUs;
  const float middle = age < 1 ? age - 0.5F : 0.5F + 2 * std::log2(age);
  if (middle <= 0) return scores.front();
  const auto younger = static_cast<uint32_t>(middle);
  if (younger + 1 >= kBins) return scores.back();
  const float part = middle - static_cast<float>(younger);
  return scores[younger] + part * (scores[younger + 1] - scores[younger]);
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
  const Bins found = chances(one, common_, prior_of(kind_).of_class * alike());
  kind_ == Score::kGittins ? score_gittins(found, one.scores) : score_density(found, one.scores);
}

void AgeProfile::recompute_common() {
  Class all;
  for (const Class& one : classes_) {
    for (uint32_t bin = 0; bin < kBins; ++bin) {
      all.hits[bin] += one.hits[bin];
      all.there[bin] += one.there[bin];
    }
  }
  Bins prior{};
  prior.fill(kPriorChance);
  common_ = chances(all, prior, prior_of(kind_).of_common);
}

void AgeProfile::recompute() {
  recompute_common();
  for (Class& one : classes_) recompute_class(one);
}

void AgeProfile::fade() {
  of_times_ *= kKept;
  squares_ *= kKept;
  for (Class& one : classes_) {
    one.weight *= kKept;
    for (uint32_t bin = 0; bin < kBins; ++bin) {
      one.hits[bin] *= kKept;
      one.there[bin] *= kKept;
    }
  }
}

// How many of them say what one says: the mean over events, not over times.
float AgeProfile::alike() const {
  return of_times_ > 0 ? static_cast<float>(squares_ / of_times_) : 1;
}

void AgeProfile::together(uint64_t time, float weight) {
  if (time != time_) {
    of_times_ += of_time_;
    squares_ += double{of_time_} * of_time_;
    of_time_ = 0;
    time_ = time;
  }
  of_time_ += weight;
}

void AgeProfile::watched(uint32_t of_class, uint32_t begin, uint32_t end, float weight) {
  Class& one = classes_[of_class];
  for (uint32_t bin = begin; bin < end; ++bin) one.there[bin] += weight;
  if (begin == 0 && end > 0) grow(one, weight);
}

void AgeProfile::hit(uint32_t of_class, uint64_t age_us, float weight, uint32_t counted) {
  const uint32_t at = bin(age_us);
  Class& one = classes_[of_class];
  for (uint32_t bin = counted; bin <= at; ++bin) one.there[bin] += weight;
  one.hits[at] += weight;
  grow(one, weight);
}

void AgeProfile::end(uint32_t of_class, uint64_t age_us, float weight) {
  watched(of_class, 0, passed_bins(age_us), weight);
}

void AgeProfile::grow(Class& one, float weight) {
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
