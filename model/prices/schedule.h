// Which class of prices ("peak", "off_peak") holds at an instant: by weekday and time of day on the
// clocks of a zone, with public holidays and weekends that are worked.
//
//   [[schedule]]
//   name = "workdays"
//   zone = "Asia/Shanghai"
//   otherwise = "off_peak"                   # the class of all other times
//   calendars = ["calendars/cn_2026.toml"]   # relative to the book; may be left out
//   holidays = "off_peak"                    # with calendars: whose hours hold on holidays,
//   working_weekends = "off_peak"            # and on weekend days that are worked
//   classes = [{name = "peak", days = ["mon", "tue"], times = ["09:00-12:00", "14:00-18:00"]}]
//
// Where the calendars do not speak of a date on which it would matter, there is no class: what a
// day costs is not guessed.
// Threads: any; immutable. A cursor belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/prices/calendar.h"
#include "model/prices/zone.h"
#include "model/result.h"
#include "model/toml_table.h"

namespace quire::prices {

class Schedule {
 public:
  // What was found out for earlier instants, so that calendars are asked once a day: days of two
  // months, and the stretch of the last one.
  struct Cursor {
    struct Day {
      int64_t day = INT64_MIN;
      std::array<uint8_t, 3> kinds{};  // what it may be; one, where that is known
      uint8_t kind_count = 0;
    };
    OffsetStretch stretch{.from_s = 0, .until_s = 0};
    std::array<Day, 64> days;
  };

  // `folder`: of the book. kInvalidArgument: "path:line: text".
  static model::Result<Schedule> read(const model::TomlTable& table, const std::string& folder);

  const std::string& name() const { return name_; }
  // At 0 the one of all other times.
  const std::vector<std::string>& classes() const { return classes_; }
  // Position among classes(); nothing where the calendars do not speak of the date.
  std::optional<size_t> class_at(int64_t instant_us, Cursor& cursor) const;

 private:
  // A day is one of seven weekdays (0 is Sunday), a holiday, or a weekend day that is worked.
  static constexpr size_t kHoliday = 7;
  static constexpr size_t kWorkingWeekend = 8;
  static constexpr size_t kDayKinds = 9;

  struct Window {
    int32_t begin_s;
    int32_t end_s;
    size_t class_index;
  };

  model::Result<void> read_class(const model::TomlTable& table);
  model::Result<void> add_windows(const model::TomlTable& table, size_t day_kind,
                                  const std::vector<Window>& windows);
  model::Result<void> read_calendars(const model::TomlTable& table, const std::string& folder);
  model::Result<void> read_special_day(const model::TomlTable& table, std::string_view key,
                                       size_t day_kind);
  Cursor::Day find_day(int64_t day) const;
  size_t class_on(size_t day_kind, int32_t second_of_day) const;

  std::string name_;
  Zone zone_;
  Calendar calendar_;
  std::vector<std::string> classes_;
  std::array<std::vector<Window>, kDayKinds> windows_;  // in order, without overlaps
};

}  // namespace quire::prices
