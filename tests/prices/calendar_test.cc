#include "model/prices/calendar.h"

#include <gtest/gtest.h>

#include "model/prices/instant.h"

namespace quire::prices::calendar_test {
namespace {

using std::chrono::sys_days;
using std::chrono::year;

constexpr std::string_view kCalendar = R"(years = [2026]
holidays = [
  {name = "National Day", first = 2026-10-01, last = 2026-10-07},
]
working_weekends = [2026-10-10]
)";

sys_days day(int month, int day_of_month) { return year(2026) / month / day_of_month; }

void expect_refused(std::string_view text, const std::string& place, const std::string& what) {
  Calendar calendar;
  const auto added = calendar.add(text, "cn.toml");
  ASSERT_FALSE(added.ok()) << text;
  EXPECT_TRUE(added.error().text.starts_with(place)) << added.error().text;
  EXPECT_NE(added.error().text.find(what), std::string::npos) << added.error().text;
  EXPECT_TRUE(calendar.empty());
}

TEST(Calendar, DatesAreHolidaysWorkingWeekendsOrPlain) {
  Calendar calendar;
  ASSERT_TRUE(calendar.add(kCalendar, "cn.toml").ok());
  EXPECT_EQ(calendar.kind(day(9, 30)), DateKind::kPlain);
  EXPECT_EQ(calendar.kind(day(10, 1)), DateKind::kHoliday);
  EXPECT_EQ(calendar.kind(day(10, 7)), DateKind::kHoliday);
  EXPECT_EQ(calendar.kind(day(10, 8)), DateKind::kPlain);
  EXPECT_EQ(calendar.kind(day(10, 10)), DateKind::kWorkingWeekend);
}

TEST(Calendar, OfOtherYearsNothingIsKnown) {
  Calendar calendar;
  ASSERT_TRUE(calendar.add(kCalendar, "cn.toml").ok());
  EXPECT_FALSE(calendar.kind(year(2027) / 1 / 1));
  EXPECT_FALSE(calendar.kind(year(2025) / 12 / 31));
}

TEST(Calendar, FilesOfOtherYearsAddUp) {
  Calendar calendar;
  ASSERT_TRUE(calendar.add(kCalendar, "cn.toml").ok());
  ASSERT_TRUE(calendar.add("years = [2027]", "cn_2027.toml").ok());
  EXPECT_EQ(calendar.kind(year(2027) / 1 / 1), DateKind::kPlain);
  EXPECT_FALSE(calendar.add("years = [2026]", "again.toml").ok());
}

TEST(Calendar, WhatCannotBeNamesItsLine) {
  expect_refused("holydays = 1\nyears = [2026]", "cn.toml:1: ", "nearest is 'holidays'");
  expect_refused("working_weekends = []", "cn.toml:1: ", "'years'");
  expect_refused("years = [2026]\nworking_weekends = [2026-10-09]",
                 "cn.toml:2: ", "2026-10-09 is no weekend day");
  expect_refused("years = [2026]\nworking_weekends = [2027-01-02]", "cn.toml:2: ", "years");
  expect_refused(
      "years = [2026]\nholidays = [{name = 'a', first = 2026-10-04, last = 2026-10-04}]\n"
      "working_weekends = [2026-10-04]",
      "cn.toml:3: ", "2026-10-04 is listed twice");
  expect_refused(
      "years = [2026]\nholidays = [{name = 'a', first = 2026-10-01, last = 2026-10-03},\n"
      "{name = 'b', first = 2026-10-03, last = 2026-10-04}]",
      "cn.toml:3: ", "2026-10-03 is listed twice");
  expect_refused("years = [2026]\nholidays = [{name = 'a', first = 2026-10-03, last = 2026-10-01}]",
                 "cn.toml:2: ", "ends");
  expect_refused("years = [2026]\nworking_weekends = [2026-02-30]", "cn.toml:2: ", "");
  expect_refused("years = [2026", "cn.toml:1: ", "");
}

TEST(Instant, IsReadWithItsOffsetAndPrintedInUtc) {
  EXPECT_EQ(instant_text(parse_instant("2026-09-15T09:00:00+08:00").value()),
            "2026-09-15T01:00:00Z");
  EXPECT_EQ(instant_text(parse_instant("2026-09-15 09:00:00.25-05:30").value()),
            "2026-09-15T14:30:00.250000Z");
  EXPECT_EQ(parse_instant("1970-01-01T00:00:01Z").value(), 1'000'000);
}

TEST(Instant, WithoutAnOffsetItIsNone) {
  for (const char* text :
       {"2026-09-15T09:00:00", "2026-09-15", "", "2026-02-29T00:00:00Z", "2026-09-15T24:00:00Z",
        "2026-09-15T09:00:00+0800", "2026-09-15T09:00:00Zx", "2026-09-15T09:00:00.Z"}) {
    EXPECT_FALSE(parse_instant(text).ok()) << text;
  }
}

}  // namespace
}  // namespace quire::prices::calendar_test
