#include "model/prices/calendar.h"

#include <array>
#include <vector>

#include "model/prices/instant.h"
#include "model/toml_table.h"

namespace quire::prices {

namespace {

namespace chrono = std::chrono;
using model::Result;
using model::TomlTable;

constexpr size_t kMaxCalendarBytes = 1 << 20;
constexpr size_t kMaxYears = 100;
constexpr size_t kMaxHolidays = 1000;
constexpr std::array<std::string_view, 3> kCalendarKeys = {"years", "holidays", "working_weekends"};
constexpr std::array<std::string_view, 3> kHolidayKeys = {"name", "first", "last"};

using Dates = std::map<chrono::sys_days, DateKind>;

int year_of(chrono::sys_days day) { return int{chrono::year_month_day(day).year()}; }

bool is_weekend(chrono::sys_days day) {
  const chrono::weekday weekday(day);
  return weekday == chrono::Saturday || weekday == chrono::Sunday;
}

Result<std::set<int>> read_years(const TomlTable& table) {
  std::set<int> years;
  for (const uint64_t year : QUIRE_TRY(table.numbers("years", 9999, kMaxYears))) {
    years.insert(static_cast<int>(year));
  }
  if (years.empty()) return table.wrong_at("years", "'years' must list the years it speaks for");
  return years;
}

Result<void> add_date(const TomlTable& table, std::string_view key, chrono::sys_days day,
                      DateKind kind, const std::set<int>& years, Dates& dates) {
  if (!years.contains(year_of(day))) {
    return table.wrong_at(key, date_text(day) + " is in none of the calendar's years");
  }
  if (dates.emplace(day, kind).second) return {};
  return table.wrong_at(key, date_text(day) + " is listed twice");
}

Result<void> read_holiday(const TomlTable& table, const std::set<int>& years, Dates& dates) {
  QUIRE_TRY(table.check_keys(kHolidayKeys));
  QUIRE_TRY(table.text("name"));
  const chrono::sys_days first = QUIRE_TRY(table.date("first"));
  const chrono::sys_days last = QUIRE_TRY(table.date("last"));
  if (last < first || last - first > chrono::days(366)) {
    return table.wrong_at("last", "a holiday ends on its first day, or within a year of it");
  }
  for (chrono::sys_days day = first; day <= last; day += chrono::days(1)) {
    QUIRE_TRY(add_date(table, "first", day, DateKind::kHoliday, years, dates));
  }
  return {};
}

}  // namespace

Result<void> Calendar::add_file(const std::string& path) {
  return add(QUIRE_TRY(model::read_text_file(path, kMaxCalendarBytes)), path);
}

Result<void> Calendar::add(std::string_view text, const std::string& path) {
  const TomlTable table = QUIRE_TRY(TomlTable::parse_file(text, path));
  QUIRE_TRY(table.check_keys(kCalendarKeys));
  const std::set<int> years = QUIRE_TRY(read_years(table));
  for (const int year : years) {
    if (!years_.contains(year)) continue;
    return table.wrong_at("years", "another calendar file has " + std::to_string(year));
  }
  Dates dates;
  for (const TomlTable& holiday : QUIRE_TRY(table.tables("holidays", "holiday", kMaxHolidays))) {
    QUIRE_TRY(read_holiday(holiday, years, dates));
  }
  for (const chrono::sys_days day : QUIRE_TRY(table.dates("working_weekends", kMaxHolidays))) {
    if (!is_weekend(day)) {
      return table.wrong_at("working_weekends", date_text(day) + " is no weekend day");
    }
    QUIRE_TRY(add_date(table, "working_weekends", day, DateKind::kWorkingWeekend, years, dates));
  }
  years_.insert(years.begin(), years.end());
  dates_.merge(dates);
  return {};
}

std::optional<DateKind> Calendar::kind(chrono::sys_days day) const {
  if (!years_.contains(year_of(day))) return std::nullopt;
  const auto found = dates_.find(day);
  return found == dates_.end() ? DateKind::kPlain : found->second;
}

}  // namespace quire::prices
