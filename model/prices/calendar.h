// Which dates are public holidays, and which weekend days are worked to make up for them.
//
// Of one or more files, each of which says for which years it speaks:
//
//   years = [2026]
//   holidays = [{name = "National Day", first = 2026-10-01, last = 2026-10-07}]
//   working_weekends = [2026-09-20, 2026-10-10]
//
// Of other years nothing is known, which is not the same as a year without holidays.
// Threads: any; immutable once read.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::prices {

enum class DateKind : uint8_t { kPlain, kHoliday, kWorkingWeekend };

class Calendar {
 public:
  // Adds what the file says. kInvalidArgument: "path:line: text"; a date twice, or outside of its
  // years, a working weekend that is none, a year that another file has.
  model::Result<void> add_file(const std::string& path);
  model::Result<void> add(std::string_view text, const std::string& path);

  // Nothing: no file speaks of that year.
  std::optional<DateKind> kind(std::chrono::sys_days day) const;
  bool empty() const { return years_.empty(); }

 private:
  std::set<int> years_;
  std::map<std::chrono::sys_days, DateKind> dates_;
};

}  // namespace quire::prices
