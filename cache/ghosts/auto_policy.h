// The policy `auto`: whichever the ghosts say would have hit most at the tier's present size.
//
// It begins with the one that is best where nothing is known, and goes on to another when that one
// leads, at each look of some minutes in a row, by more than a point, more than twice what the
// sample leaves open, and more than ghosts are off: a switch costs little, but one that is taken
// back was for nothing. How far they are off the one in charge says, whose ghost stands beside what
// the tier really hit. What it hit under another policy says nothing of that: a quarter of an hour
// is waited for, and the last hour counts once all of it is of the one in charge. Threads: one
// owner.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "cache/ghosts/ghosts.h"

namespace quire::cache {

class AutoPolicy {
 public:
  // Learns by itself, and was at or near the top on each trace that it was tried on.
  static constexpr std::string_view kFirst = "gittins";
  static constexpr int64_t kLookUs = 60'000'000;

  // Who should be in charge now. Looks at the ghosts once in kLookUs.
  std::string_view choose(const Ghosts& ghosts, int64_t now_us);
  // One look: rows of the tier's own size; what the tier hit meanwhile, of its prompts' tokens.
  void look(std::span<const GhostRow> rows, double tier_percent);
  std::string_view chosen() const { return chosen_; }

 private:
  static constexpr double kLeadPoints = 1;
  static constexpr uint32_t kLooksAhead = 5;
  static constexpr uint32_t kLooksOfQuarter = kQuarterUs / kLookUs;
  static constexpr uint32_t kLooksOfHour = 4 * kLooksOfQuarter;

  std::string_view chosen_ = kFirst;
  std::string_view leader_;       // at the last look, by enough
  uint32_t looks_ahead_ = 0;      // in a row
  uint32_t looks_in_charge_ = 0;  // of the one that is
  int64_t looked_us_ = 0;
};

}  // namespace quire::cache
