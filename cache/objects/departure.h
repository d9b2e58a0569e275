// Why an object, or a copy of one, went: said by whoever lets it go, so that it can be told later
// (DepartureLog).
#pragma once

#include <cstdint>
#include <string_view>

namespace quire::cache {

enum class DepartureCause : uint8_t {
  kNone = 0,
  kPolicy,       // to make room: its policy's choice
  kQuota,        // its owner held what it may: to make room for the owner's own
  kOperator,     // somebody's command
  kOtherUser,    // its segment became another user's
  kSuperseded,   // a later checkpoint of its conversation, or the engine's word
  kDamaged,      // a page failed its checksum, or one before it did
  kUnreadable,   // likewise, but its device could not read it
  kIncomplete,   // never whole: its writers went before all groups were written
  kEpoch,        // its namespace moved to a later epoch
  kRootGivenUp,  // nobody had its root open, and another root was wanted
  kRenewed,      // a bad copy, written again from RAM
};

struct Departure {
  DepartureCause cause = DepartureCause::kNone;
  std::string_view policy = {};  // a literal: who chose it; empty: nobody did
};

// To make room: it may come back, and its return teaches the policy.
constexpr bool is_eviction(DepartureCause cause) {
  return cause == DepartureCause::kPolicy || cause == DepartureCause::kQuota ||
         cause == DepartureCause::kOperator || cause == DepartureCause::kOtherUser;
}
// It cannot be hit any more before its pages go: it is out of the index.
constexpr bool is_quarantine(DepartureCause cause) {
  return cause == DepartureCause::kDamaged || cause == DepartureCause::kUnreadable;
}

}  // namespace quire::cache
