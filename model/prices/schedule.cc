#include "model/prices/schedule.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace quire::prices {

namespace {

namespace chrono = std::chrono;
using model::Result;
using model::TomlTable;

constexpr size_t kMaxClasses = 16;
constexpr size_t kMaxWindows = 48;
constexpr size_t kMaxCalendars = 100;
constexpr std::array<std::string_view, 7> kScheduleKeys = {
    "name", "zone", "otherwise", "calendars", "holidays", "working_weekends", "classes"};
constexpr std::array<std::string_view, 3> kClassKeys = {"name", "days", "times"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};

int two_digits(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return digit(text[0]) && digit(text[1]) ? (text[0] - '0') * 10 + (text[1] - '0') : 99;
}

// "09:00", up to "24:00"; nothing for other texts.
std::optional<int32_t> second_of(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hour = two_digits(text);
  const int minute = two_digits(text.substr(3));
  if (minute > 59 || hour > 24 || (hour == 24 && minute != 0)) return std::nullopt;
  return hour * 3600 + minute * 60;
}

std::string clock_text(int32_t second) {
  const auto two = [](int32_t n) { return std::string(n < 10 ? "0" : "") + std::to_string(n); };
  return two(second / 3600) + ":" + two(second / 60 % 60);
}

Result<std::vector<size_t>> read_days(const TomlTable& table) {
  std::vector<size_t> days;
  for (const std::string& day : QUIRE_TRY(table.texts("days", kWeekdays.size()))) {
    const auto found = std::find(kWeekdays.begin(), kWeekdays.end(), day);
    if (found == kWeekdays.end()) {
      return table.wrong_at("days", "'" + day + "' is no day; mon, tue, wed, thu, fri, sat, sun");
    }
    days.push_back(static_cast<size_t>(found - kWeekdays.begin()));
  }
  if (days.empty()) return table.wrong_at("days", "'days' must list the days of the class");
  return days;
}

}  // namespace

Result<Schedule> Schedule::read(const TomlTable& table, const std::string& folder) {
  QUIRE_TRY(table.check_keys(kScheduleKeys));
  Schedule schedule;
  schedule.name_ = QUIRE_TRY(table.text("name"));
  Result<Zone> zone = Zone::load(QUIRE_TRY(table.text("zone")));
  if (!zone.ok()) return table.wrong_at("zone", zone.error().text);
  schedule.zone_ = std::move(*zone);
  schedule.classes_.push_back(QUIRE_TRY(table.text("otherwise")));
  for (const TomlTable& one : QUIRE_TRY(table.tables("classes", "class", kMaxClasses))) {
    QUIRE_TRY(schedule.read_class(one));
  }
  if (schedule.classes_.size() < 2) {
    return table.wrong("a schedule needs 'classes' beside the one of 'otherwise'");
  }
  QUIRE_TRY(schedule.read_calendars(table, folder));
  return schedule;
}

Result<void> Schedule::read_class(const TomlTable& table) {
  QUIRE_TRY(table.check_keys(kClassKeys));
  const std::string name = QUIRE_TRY(table.text("name"));
  if (std::find(classes_.begin(), classes_.end(), name) != classes_.end()) {
    return table.wrong_at("name", "there is a class '" + name + "' already");
  }
  std::vector<Window> windows;
  for (const std::string& text : QUIRE_TRY(table.texts("times", kMaxWindows))) {
    const size_t dash = std::min(text.find('-'), text.size());
    const auto begin = second_of(std::string_view(text).substr(0, dash));
    const auto end = second_of(std::string_view(text).substr(std::min(dash + 1, text.size())));
    if (!begin || !end || *begin >= *end) {
      return table.wrong_at("times", "'" + text +
                                         "' is no time of one day such as 09:00-12:00; "
                                         "two days need two");
    }
    windows.push_back({*begin, *end, classes_.size()});
  }
  if (windows.empty()) return table.wrong_at("times", "'times' must list the hours of the class");
  for (const size_t day : QUIRE_TRY(read_days(table))) {
    QUIRE_TRY(add_windows(table, day, windows));
  }
  classes_.push_back(name);
  return {};
}

Result<void> Schedule::add_windows(const TomlTable& table, size_t day_kind,
                                   const std::vector<Window>& windows) {
  std::vector<Window>& all = windows_[day_kind];
  all.insert(all.end(), windows.begin(), windows.end());
  std::sort(all.begin(), all.end(),
            [](const Window& a, const Window& b) { return a.begin_s < b.begin_s; });
  for (size_t i = 1; i < all.size(); ++i) {
    if (all[i].begin_s >= all[i - 1].end_s) continue;
    return table.wrong_at("times", std::string(kWeekdays[day_kind]) + " " +
                                       clock_text(all[i].begin_s) +
                                       " is in two classes, or twice in one");
  }
  return {};
}

Result<void> Schedule::read_calendars(const TomlTable& table, const std::string& folder) {
  for (const std::string& file : QUIRE_TRY(table.texts("calendars", kMaxCalendars))) {
    const Result<void> added = calendar_.add_file(folder + "/" + file);
    if (added.ok()) continue;
    return table.wrong_at("calendars", added.error().text);
  }
  if (calendar_.empty()) {
    for (const std::string_view key : {"holidays", "working_weekends"}) {
      if (table.has(key)) return table.wrong_at(key, "without 'calendars' no day is one");
    }
    return {};
  }
  QUIRE_TRY(read_special_day(table, "holidays", kHoliday));
  return read_special_day(table, "working_weekends", kWorkingWeekend);
}

// The key is never optional: vendors who are silent about such days leave it to the book to decide.
Result<void> Schedule::read_special_day(const TomlTable& table, std::string_view key,
                                        size_t day_kind) {
  const std::string name = QUIRE_TRY(table.text(key));
  const auto found = std::find(classes_.begin(), classes_.end(), name);
  if (found == classes_.end()) {
    return table.wrong_at(key, "there is no class '" + name + "' in this schedule");
  }
  const auto index = static_cast<size_t>(found - classes_.begin());
  // The hours of the first weekday that has such hours, Monday first.
  for (size_t i = 1; index != 0 && i <= 7 && windows_[day_kind].empty(); ++i) {
    std::copy_if(windows_[i % 7].begin(), windows_[i % 7].end(),
                 std::back_inserter(windows_[day_kind]),
                 [&](const Window& window) { return window.class_index == index; });
  }
  return {};
}

std::optional<size_t> Schedule::class_at(int64_t instant_us, Cursor& cursor) const {
  const int64_t utc_s = instant_us / 1'000'000 - (instant_us % 1'000'000 < 0 ? 1 : 0);
  if (utc_s < cursor.stretch.from_s || utc_s >= cursor.stretch.until_s) {
    cursor.stretch = zone_.at(utc_s);
  }
  const LocalTime local = local_time(utc_s, cursor.stretch.offset_s);
  Cursor::Day& day = cursor.days[static_cast<uint64_t>(local.day) % cursor.days.size()];
  if (day.day != local.day) day = find_day(local.day);
  const size_t index = class_on(day.kinds[0], local.second_of_day);
  for (size_t i = 1; i < day.kind_count; ++i) {
    if (class_on(day.kinds[i], local.second_of_day) != index) return std::nullopt;
  }
  return index;
}

Schedule::Cursor::Day Schedule::find_day(int64_t day) const {
  const chrono::sys_days date{chrono::days(day)};
  const auto weekday = static_cast<uint8_t>(chrono::weekday(date).c_encoding());
  Cursor::Day found{.day = day, .kinds = {weekday, kHoliday, kWorkingWeekend}, .kind_count = 1};
  if (calendar_.empty()) return found;
  const std::optional<DateKind> kind = calendar_.kind(date);
  if (!kind) {
    found.kind_count = weekday == 0 || weekday == 6 ? 3 : 2;
  } else if (*kind == DateKind::kHoliday) {
    found.kinds[0] = kHoliday;
  } else if (*kind == DateKind::kWorkingWeekend) {
    found.kinds[0] = kWorkingWeekend;
  }
  return found;
}

size_t Schedule::class_on(size_t day_kind, int32_t second_of_day) const {
  for (const Window& window : windows_[day_kind]) {
    if (second_of_day >= window.begin_s && second_of_day < window.end_s) return window.class_index;
  }
  return 0;
}

}  // namespace quire::prices
