// When entries are used again, by class and age: what policies that learn from the workload keep.
//
// Ages since the last use fall into bins of half an octave, 32 ms to 12 days. An event says that an
// entry of a class was used again at an age (hit), or was watched up to it and no longer (end):
// hits over those that were there give the chance of a use in each bin (Kaplan and Meier, 1958),
// whatever cut the watching short. What is watched long is counted bin by bin, as it passes them:
// told at its end only, what does not come back would be heard of long after what does.
// For the first score chances are smoothed over neighbouring bins. Classes that have few events
// lean on what all have in common; as events that one request brings say the same (together()), so
// many count for one.
//
// Two scores, each per class and bin, recomputed a class at a time, when it has grown by a
// sixteenth:
//   gittins  the best of (chance of a use until w) / (time held until then) over all w: what room
//            for the entry yields if it is given back at the best time (Gittins, 1979)
//   density  uses to come per time still to be held, as things went so far (Beckmann et al., 2018)
// Old events fade by a tenth whenever as many new ones came as the fading interval says.
// Threads: one owner. Memory: 600 bytes a class.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace quire::cache {

class AgeProfile {
 public:
  enum class Score : uint8_t { kGittins, kDensity };
  AgeProfile(uint32_t classes, Score score);

  // `counted`: bins in which it was counted as watched before.
  void hit(uint32_t of_class, uint64_t age_us, float weight = 1, uint32_t counted = 0);
  void end(uint32_t of_class, uint64_t age_us, float weight = 1);
  // It was there in the bins from `begin` on, and still is.
  void watched(uint32_t of_class, uint32_t begin, uint32_t end, float weight);
  // Before events of a use, by its time: those of one time are of one request.
  void together(uint64_t time, float weight);
  // Bins of which at least half is over at this age.
  static uint32_t passed_bins(uint64_t age_us) {
    return age_us < kFirstBinUs / 2 ? 0 : bin(age_us - age_us / 6) + 1;
  }
  // Events between two fadings.
  void set_interval(uint64_t events) { interval_ = events; }
  // Of the first kind between the middles of bins, so that classes with equal chances are one
  // order by age; of the second as published, by bin.
  float score(uint32_t of_class, uint64_t age_us) const;
  // Of all classes now; events do the class that has grown.
  void recompute();
  uint64_t held_bytes() const { return classes_.capacity() * sizeof(Class); }

  static constexpr uint32_t kBins = 50;
  static constexpr uint64_t kFirstBinUs = 1 << 15;
  static uint32_t bin(uint64_t age_us);
  static double begin_us(uint32_t bin);

 private:
  using Bins = std::array<float, kBins>;
  struct Class {
    Bins hits{};
    Bins there{};  // still, in this bin
    Bins scores{};
    float weight = 0;  // of all its events
    float fresh = 0;   // of those since it was recomputed
  };
  Bins smooth(const Bins& bins) const;
  Bins chances(const Class& events, const Bins& prior, float prior_weight) const;
  static const std::array<float, kBins - 1>& lengths_us();
  static void score_gittins(const Bins& chances, Bins& scores);
  static void score_density(const Bins& chances, Bins& scores);
  void grow(Class& one, float weight);
  float alike() const;
  void recompute_class(Class& one);
  void recompute_common();
  void fade();

  Score kind_;
  std::vector<Class> classes_;
  Bins common_{};  // chances of all classes together
  uint64_t interval_ = 1 << 14;
  uint64_t events_ = 0;      // since the last fading
  uint32_t recomputed_ = 0;  // classes since what all have in common was
  // Of events together: the weight of those of one time, and over all times the sums of that and
  // of its square.
  uint64_t time_ = 0;
  float of_time_ = 0;
  double of_times_ = 0;
  double squares_ = 0;
};

inline uint32_t AgeProfile::bin(uint64_t age_us) {
  const uint64_t scaled = age_us >> 15;
  if (scaled == 0) return 0;
  const auto octave = static_cast<uint32_t>(std::bit_width(scaled)) - 1;
  // 181 / 128 is the square root of 2, from where the upper half of the octave begins.
  const bool upper = age_us >> octave >= (uint64_t{1} << 15) * 181 / 128;
  const uint32_t found = 1 + 2 * octave + (upper ? 1 : 0);
  return found < kBins ? found : kBins - 1;
}

}  // namespace quire::cache
