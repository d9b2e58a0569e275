// A named time zone of the system's tz database: how far local clocks are ahead of UTC at an
// instant.
//
// Reads the compiled files (TZif version 2 and later, RFC 8536) below /usr/share/zoneinfo itself:
// the C library knows one zone a process, by an environment variable, and <chrono> has none yet.
// Threads: any; immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/prices/posix_zone.h"
#include "model/result.h"

namespace quire::prices {

inline constexpr const char* kZoneRoot = "/usr/share/zoneinfo";

class Zone {
 public:
  // "Asia/Shanghai". kNotFound: no such zone, or no tz database. kInvalidArgument: no such name, or
  // no file of the format.
  static model::Result<Zone> load(std::string_view name, const std::string& root = kZoneRoot);
  static model::Result<Zone> parse(std::string_view name, std::string_view bytes);

  const std::string& name() const { return name_; }
  // The longest stretch around the instant that is known to have one offset.
  OffsetStretch at(int64_t utc_s) const;

 private:
  std::string name_;
  std::vector<int64_t> changes_;  // ascending, in Unix time
  std::vector<int32_t> offsets_;  // offsets_[i] before changes_[i]; one more than changes
  PosixZone rule_;                // from the last change on
};

// Days and seconds of a local clock.
struct LocalTime {
  int64_t day = 0;  // since 1970-01-01
  int32_t second_of_day = 0;
};
LocalTime local_time(int64_t utc_s, int32_t offset_s);

}  // namespace quire::prices
