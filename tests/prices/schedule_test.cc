#include "model/prices/schedule.h"

#include <gtest/gtest.h>

#include "model/prices/instant.h"

namespace quire::prices::schedule_test {
namespace {

using model::Result;
using model::TomlTable;

const std::string kFolder = QUIRE_SOURCE_DIR "/configs/prices";
const std::string kClasses =
    "name = 's'\nzone = 'Asia/Shanghai'\notherwise = 'off_peak'\n"
    "classes = [{name = 'peak', days = ['mon', 'tue', 'wed', 'thu', 'fri'], "
    "times = ['09:00-12:00', '14:00-18:00']}]\n";
const std::string kCalendars = "calendars = ['calendars/cn_2026.toml']\nholidays = 'off_peak'\n";

Result<Schedule> read(const std::string& text) {
  return Schedule::read(TomlTable::parse_file(text, "book.toml").value(), kFolder);
}

std::string class_of(const Schedule& schedule, std::string_view instant) {
  Schedule::Cursor cursor;
  const auto index = schedule.class_at(parse_instant(instant).value(), cursor);
  return index ? schedule.classes()[*index] : "unknown";
}

// At noon of that Beijing date but for its minutes: hours of the morning's peak.
std::string class_on(const Schedule& schedule, const std::string& date) {
  return class_of(schedule, date + "T10:00:00+08:00");
}

void expect_refused(const std::string& text, const std::string& place, const std::string& what) {
  const Result<Schedule> schedule = read(text);
  ASSERT_FALSE(schedule.ok()) << text;
  EXPECT_TRUE(schedule.error().text.starts_with(place)) << schedule.error().text;
  EXPECT_NE(schedule.error().text.find(what), std::string::npos) << schedule.error().text;
}

TEST(Schedule, PeakHoursBeginAndEndAtTheSecond) {
  const Schedule schedule = read(kClasses).value();
  const auto at = [&](const std::string& time) {
    return class_of(schedule, "2026-09-15T" + time + "+08:00");
  };
  EXPECT_EQ(at("08:59:59"), "off_peak");
  EXPECT_EQ(at("08:59:59.999999"), "off_peak");
  EXPECT_EQ(at("09:00:00"), "peak");
  EXPECT_EQ(at("11:59:59"), "peak");
  EXPECT_EQ(at("12:00:00"), "off_peak");
  EXPECT_EQ(at("13:59:59"), "off_peak");
  EXPECT_EQ(at("14:00:00"), "peak");
  EXPECT_EQ(at("17:59:59"), "peak");
  EXPECT_EQ(at("18:00:00"), "off_peak");
}

TEST(Schedule, FridayIsPeakAndSaturdayIsNot) {
  const Schedule schedule = read(kClasses).value();
  EXPECT_EQ(class_on(schedule, "2026-09-18"), "peak");
  EXPECT_EQ(class_on(schedule, "2026-09-19"), "off_peak");
  EXPECT_EQ(class_on(schedule, "2026-09-20"), "off_peak");
  EXPECT_EQ(class_on(schedule, "2026-09-21"), "peak");
}

TEST(Schedule, DaysAreThoseOfTheZoneAndNotOfUtc) {
  // Sunday 23:59:59 in UTC is Monday morning in Beijing, and Saturday there begins on UTC's Friday.
  const std::string text =
      "name = 's'\nzone = 'Asia/Shanghai'\notherwise = 'off_peak'\n"
      "classes = [{name = 'peak', days = ['mon'], times = ['00:00-24:00']}]\n";
  const Schedule schedule = read(text).value();
  EXPECT_EQ(class_of(schedule, "2026-09-20T15:59:59Z"), "off_peak");
  EXPECT_EQ(class_of(schedule, "2026-09-20T16:00:00Z"), "peak");
  EXPECT_EQ(class_of(schedule, "2026-09-20T23:59:59Z"), "peak");
  EXPECT_EQ(class_of(schedule, "2026-09-21T00:00:00Z"), "peak");
  EXPECT_EQ(class_of(schedule, "2026-09-21T15:59:59Z"), "peak");
  EXPECT_EQ(class_of(schedule, "2026-09-21T16:00:00Z"), "off_peak");
}

TEST(Schedule, AHolidayOnAWeekdayIsWhatTheBookSays) {
  const Schedule off = read(kClasses + kCalendars + "working_weekends = 'off_peak'\n").value();
  EXPECT_EQ(class_on(off, "2026-10-07"), "off_peak");
  EXPECT_EQ(class_on(off, "2026-10-08"), "peak");
  const Schedule peak = read(kClasses +
                             "calendars = ['calendars/cn_2026.toml']\nholidays = 'peak'\n"
                             "working_weekends = 'off_peak'\n")
                            .value();
  EXPECT_EQ(class_on(peak, "2026-10-07"), "peak");
  EXPECT_EQ(class_of(peak, "2026-10-07T12:00:00+08:00"), "off_peak");
}

TEST(Schedule, AWorkingSaturdayIsWhatTheBookSays) {
  const Schedule off = read(kClasses + kCalendars + "working_weekends = 'off_peak'\n").value();
  const Schedule peak = read(kClasses + kCalendars + "working_weekends = 'peak'\n").value();
  EXPECT_EQ(class_on(off, "2026-10-10"), "off_peak");
  EXPECT_EQ(class_on(peak, "2026-10-10"), "peak");
  EXPECT_EQ(class_of(peak, "2026-10-10T12:00:00+08:00"), "off_peak");
  EXPECT_EQ(class_on(peak, "2026-10-11"), "off_peak");
}

TEST(Schedule, WithoutACalendarForTheDayItIsUnknownWhereItMatters) {
  const Schedule off = read(kClasses + kCalendars + "working_weekends = 'off_peak'\n").value();
  EXPECT_EQ(class_on(off, "2027-01-04"), "unknown");
  EXPECT_EQ(class_of(off, "2027-01-04T20:00:00+08:00"), "off_peak");
  EXPECT_EQ(class_on(off, "2027-01-09"), "off_peak");
  const Schedule peak = read(kClasses + kCalendars + "working_weekends = 'peak'\n").value();
  EXPECT_EQ(class_on(peak, "2027-01-09"), "unknown");
}

TEST(Schedule, ClocksThatChangeMoveTheHours) {
  const Schedule schedule =
      read(
          "name = 's'\nzone = 'America/Los_Angeles'\notherwise = 'day'\n"
          "classes = [{name = 'night', days = ['sun'], times = ['01:30-02:30']}]\n")
          .value();
  // On 1 November 2026 01:30 comes twice; on 8 March 02:00 is 03:00.
  EXPECT_EQ(class_of(schedule, "2026-11-01T08:30:00Z"), "night");
  EXPECT_EQ(class_of(schedule, "2026-11-01T09:29:00Z"), "day");
  EXPECT_EQ(class_of(schedule, "2026-11-01T09:30:00Z"), "night");
  EXPECT_EQ(class_of(schedule, "2026-03-08T09:59:59Z"), "night");
  EXPECT_EQ(class_of(schedule, "2026-03-08T10:00:00Z"), "day");
}

TEST(Schedule, ACursorThatWasElsewhereChangesNothing) {
  const Schedule schedule = read(kClasses + kCalendars + "working_weekends = 'peak'\n").value();
  Schedule::Cursor cursor;
  for (const char* instant :
       {"2026-10-10T10:00:00+08:00", "2027-01-04T10:00:00+08:00", "2026-10-07T10:00:00+08:00",
        "1990-07-02T00:30:00Z", "2026-10-08T10:00:00+08:00", "2026-08-04T10:00:00+08:00",
        "2026-10-07T10:00:00+08:00", "2026-10-10T10:00:00+08:00"}) {
    const int64_t at = parse_instant(instant).value();
    Schedule::Cursor fresh;
    EXPECT_EQ(schedule.class_at(at, cursor), schedule.class_at(at, fresh)) << instant;
  }
}

TEST(Schedule, WhatCannotBeNamesItsLine) {
  expect_refused("nam = 's'\n" + kClasses, "book.toml:1: ", "nearest is 'name'");
  expect_refused("name = 's'\nzone = 'Asia/Bejing'\notherwise = 'a'\n", "book.toml:2: ", "tzdata");
  expect_refused("name = 's'\nzone = 'UTC'\notherwise = 'a'\n", "book.toml:1: ", "'classes'");
  const std::string head = "name = 's'\nzone = 'UTC'\notherwise = 'a'\nclasses = [\n";
  expect_refused(head + "{name = 'b', days = ['mon'], times = ['09:00-12:00', '11:59-13:00']}]",
                 "book.toml:5: ", "mon 11:59 is in two classes");
  expect_refused(head +
                     "{name = 'b', days = ['mon'], times = ['09:00-12:00']},\n"
                     "{name = 'c', days = ['sun', 'mon'], times = ['11:00-13:00']}]",
                 "book.toml:6: ", "mon 11:00 is in two classes");
  expect_refused(head + "{name = 'a', days = ['mon'], times = ['09:00-12:00']}]",
                 "book.toml:5: ", "a class 'a' already");
  for (const char* times : {"'22:00-06:00'", "'9:00-12:00'", "'09:00'", "'09:00-24:01'", "'a-b'",
                            "'09:60-10:00'", ""}) {
    expect_refused(head + "{name = 'b', days = ['mon'], times = [" + times + "]}]",
                   "book.toml:5: ", "");
  }
  expect_refused(head + "{name = 'b', days = ['monday'], times = ['09:00-12:00']}]",
                 "book.toml:5: ", "is no day");
}

TEST(Schedule, SilenceAboutHolidaysAndWorkingWeekendsIsRefused) {
  expect_refused(kClasses + kCalendars, "book.toml:1: ", "'working_weekends'");
  expect_refused(kClasses +
                     "calendars = ['calendars/cn_2026.toml']\n"
                     "working_weekends = 'off_peak'\n",
                 "book.toml:1: ", "'holidays'");
  expect_refused(kClasses + kCalendars + "working_weekends = 'of_peak'\n",
                 "book.toml:7: ", "no class 'of_peak'");
  expect_refused(kClasses + "holidays = 'peak'\n", "book.toml:5: ", "without 'calendars'");
  expect_refused(kClasses + "calendars = ['calendars/none.toml']\n",
                 "book.toml:5: ", "no such file");
}

}  // namespace
}  // namespace quire::prices::schedule_test
