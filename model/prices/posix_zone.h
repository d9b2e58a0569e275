// The rule of a time zone for all instants behind the last one that its file lists: the POSIX TZ
// string at the file's end, such as "CST-8" or "PST8PDT,M3.2.0,M11.1.0" (RFC 8536, 3.3.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/result.h"

namespace quire::prices {

inline constexpr int64_t kDayS = 86'400;

// In [from_s, until_s) of Unix time local clocks are `offset_s` ahead of UTC.
struct OffsetStretch {
  int64_t from_s = INT64_MIN;
  int64_t until_s = INT64_MAX;
  int32_t offset_s = 0;
};

// A day of the year on which clocks change, and when on it.
struct PosixChange {
  enum class Kind : uint8_t { kJulian, kDayOfYear, kWeekday };
  Kind kind = Kind::kWeekday;
  int32_t day = 0;          // of kJulian: 1 to 365, no 29 February; of kDayOfYear: 0 to 365
  int32_t month = 0;        // of kWeekday, 1 to 12
  int32_t week = 0;         // 1 to 5; 5 is the last one
  int32_t weekday = 0;      // 0 is Sunday
  int32_t seconds = 7'200;  // of local time, before the change; may be outside of the day
};

class PosixZone {
 public:
  // kInvalidArgument.
  static model::Result<PosixZone> parse(std::string_view text);
  OffsetStretch at(int64_t utc_s) const;

 private:
  struct Saving {
    int32_t offset_s = 0;
    PosixChange begin;
    PosixChange end;
  };

  // In 1970 to 2369, with summer time.
  OffsetStretch at_year_of(int64_t utc_s) const;

  int32_t offset_s_ = 0;
  std::optional<Saving> saving_;
};

}  // namespace quire::prices
