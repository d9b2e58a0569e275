// Instants of a ledger as its exports write them: RFC 3339 in UTC, each of one length, so that
// texts stand in order of time. They are read by model/prices/instant.h. Threads: any; no state.
//
// A damaged ledger may hold any number: what is before 1970 or behind the year 9999 is written as
// the first, or last, instant that there is.
#pragma once

#include <cstdint>
#include <string>

namespace quire::client {

inline constexpr int64_t kSecondUs = 1'000'000;

// By the wall clock, since 1970.
int64_t present_us();
// "2026-11-30T10:00:00.000001Z".
std::string stamp_text(int64_t unix_us);
// "2026-11-30T10:00:00Z".
std::string second_text(int64_t unix_us);

// First instants of the month in UTC that holds this one, and of the next.
struct MonthBounds {
  int64_t begin_us = 0;
  int64_t end_us = 0;
};
MonthBounds month_of(int64_t unix_us);

}  // namespace quire::client
