#include "model/prices/zone.h"

#include <gtest/gtest.h>

#include "model/prices/instant.h"
#include "model/toml_table.h"

namespace quire::prices::zone_test {
namespace {

using model::Errc;

int64_t seconds(std::string_view instant) { return parse_instant(instant).value() / 1'000'000; }

int32_t offset_h(const Zone& zone, std::string_view instant) {
  return zone.at(seconds(instant)).offset_s / 3600;
}

TEST(Zone, BeijingIsEightHoursAhead) {
  const Zone zone = Zone::load("Asia/Shanghai").value();
  EXPECT_EQ(offset_h(zone, "2026-08-16T16:00:00Z"), 8);
  EXPECT_EQ(offset_h(zone, "2099-08-16T16:00:00Z"), 8);
}

TEST(Zone, ChangesThatTheFileListsCount) {
  // China had summer time until 1991.
  const Zone zone = Zone::load("Asia/Shanghai").value();
  EXPECT_EQ(offset_h(zone, "1990-07-01T00:00:00Z"), 9);
  EXPECT_EQ(offset_h(zone, "1990-12-01T00:00:00Z"), 8);
}

TEST(Zone, ClocksChangeAtTheSecond) {
  const Zone zone = Zone::load("America/Los_Angeles").value();
  EXPECT_EQ(offset_h(zone, "2026-11-01T08:59:59Z"), -7);
  EXPECT_EQ(offset_h(zone, "2026-11-01T09:00:00Z"), -8);
  EXPECT_EQ(offset_h(zone, "2026-03-08T09:59:59Z"), -8);
  EXPECT_EQ(offset_h(zone, "2026-03-08T10:00:00Z"), -7);
}

TEST(Zone, BehindTheLastListedChangeTheRuleHolds) {
  const Zone zone = Zone::load("America/Los_Angeles").value();
  EXPECT_EQ(offset_h(zone, "2060-11-07T08:59:59Z"), -7);
  EXPECT_EQ(offset_h(zone, "2060-11-07T09:00:00Z"), -8);
  EXPECT_EQ(offset_h(zone, "2060-03-14T10:00:00Z"), -7);
}

TEST(Zone, TheRuleAgreesWithWhatTheFileLists) {
  for (const char* name : {"America/Los_Angeles", "Europe/Berlin", "Australia/Sydney",
                           "America/St_Johns", "Europe/Dublin"}) {
    const std::string bytes =
        model::read_text_file(std::string(kZoneRoot) + "/" + name, 1 << 20).value();
    const size_t begin = bytes.rfind('\n', bytes.size() - 2) + 1;
    const PosixZone rule =
        PosixZone::parse(std::string_view(bytes).substr(begin, bytes.size() - 1 - begin)).value();
    const Zone zone = Zone::load(name).value();
    for (int64_t at = seconds("2026-01-01T00:00:00Z"); at < seconds("2030-01-01T00:00:00Z");
         at += 1800) {
      ASSERT_EQ(zone.at(at).offset_s, rule.at(at).offset_s) << name << " " << at;
    }
  }
}

TEST(Zone, AStretchIsTrueFromItsBeginToItsEnd) {
  for (const char* name : {"America/Los_Angeles", "Asia/Shanghai"}) {
    const Zone zone = Zone::load(name).value();
    for (const char* instant :
         {"1980-06-01T00:00:00Z", "2026-06-01T00:00:00Z", "2036-12-01T00:00:00Z",
          "2037-12-01T00:00:00Z", "2050-01-01T00:00:00Z"}) {
      const OffsetStretch stretch = zone.at(seconds(instant));
      ASSERT_LE(stretch.from_s, seconds(instant));
      ASSERT_GT(stretch.until_s, seconds(instant));
      EXPECT_EQ(zone.at(stretch.from_s).offset_s, stretch.offset_s);
      EXPECT_EQ(zone.at(stretch.until_s - 1).offset_s, stretch.offset_s);
    }
  }
}

TEST(Zone, AMissingZoneSaysWhatToInstall) {
  const auto zone = Zone::load("Asia/Bejing");
  ASSERT_FALSE(zone.ok());
  EXPECT_EQ(zone.code(), Errc::kNotFound);
  EXPECT_NE(zone.error().text.find("install tzdata"), std::string::npos) << zone.error().text;
}

TEST(Zone, ANameCannotLeaveTheDatabase) {
  for (const char* name : {"", "/etc/passwd", "../passwd", "Asia/./Shanghai", "a b"}) {
    EXPECT_EQ(Zone::load(name).code(), Errc::kInvalidArgument) << name;
  }
}

TEST(Zone, FilesThatAreNoneAreRefusedWhereverTheyEnd) {
  const std::string bytes =
      model::read_text_file(std::string(kZoneRoot) + "/Europe/Berlin", 1 << 20).value();
  for (size_t length = 0; length < bytes.size(); length += 7) {
    EXPECT_FALSE(Zone::parse("Europe/Berlin", std::string_view(bytes).substr(0, length)).ok());
  }
  std::string old = bytes;
  old[4] = '\0';
  EXPECT_FALSE(Zone::parse("Europe/Berlin", old).ok());
}

TEST(PosixZone, FormsOfTheStandardAreRead) {
  EXPECT_EQ(PosixZone::parse("<+0330>-3:30").value().at(0).offset_s, 12'600);
  EXPECT_EQ(PosixZone::parse("UTC0").value().at(0).offset_s, 0);
  // Day 60 of a Julian rule is 1 March, leap year or not; of the other, 29 February.
  const PosixZone julian = PosixZone::parse("AAA0BBB,J60/0,J300/0").value();
  EXPECT_EQ(julian.at(seconds("2028-02-29T23:59:59Z")).offset_s, 0);
  EXPECT_EQ(julian.at(seconds("2028-03-01T00:00:00Z")).offset_s, 3600);
  const PosixZone plain = PosixZone::parse("AAA0BBB,59/0,300/0").value();
  EXPECT_EQ(plain.at(seconds("2028-02-28T23:59:59Z")).offset_s, 0);
  EXPECT_EQ(plain.at(seconds("2028-02-29T00:00:00Z")).offset_s, 3600);
}

TEST(PosixZone, ChangesMayLieOutsideOfTheirDay) {
  const PosixZone zone = PosixZone::parse("IST-2IDT,M3.4.4/26,M10.5.0").value();
  EXPECT_EQ(zone.at(seconds("2026-03-26T23:59:59Z")).offset_s, 7200);
  EXPECT_EQ(zone.at(seconds("2026-03-27T00:00:00Z")).offset_s, 10'800);
}

TEST(PosixZone, ChangesMayLieInTheNextYear) {
  // Both changes of 2025 lie in January 2026, behind the instant.
  const PosixZone zone = PosixZone::parse("AAA0BBB,365/160,365/167").value();
  const OffsetStretch stretch = zone.at(seconds("2026-01-02T00:00:00Z"));
  EXPECT_EQ(stretch.offset_s, 0);
  EXPECT_EQ(stretch.until_s, seconds("2026-01-07T16:00:00Z"));
  EXPECT_EQ(zone.at(seconds("2026-01-07T16:00:00Z")).offset_s, 3600);
}

TEST(PosixZone, TheRuleHoldsInYearsThatNobodyCounts) {
  const PosixZone zone = PosixZone::parse("PST8PDT,M3.2.0,M11.1.0").value();
  constexpr int64_t kCycleS = 146'097 * kDayS;
  for (const int64_t cycles : {-500, -1, 0, 1, 700}) {
    const int64_t change = seconds("2026-03-08T10:00:00Z") + cycles * kCycleS;
    EXPECT_EQ(zone.at(change - 1).offset_s, -8 * 3600);
    EXPECT_EQ(zone.at(change).offset_s, -7 * 3600);
    EXPECT_EQ(zone.at(change).from_s, change);
  }
  EXPECT_LE(zone.at(INT64_MAX / 1'000'000).from_s, INT64_MAX / 1'000'000);
  EXPECT_GT(zone.at(INT64_MIN / 1'000'000).until_s, INT64_MIN / 1'000'000);
}

TEST(PosixZone, WhatIsNoRuleIsRefused) {
  for (const char* text :
       {"", "A", "AB1", "CST", "CST-", "CST-8x", "CST--8", "CST-8CDT", "CST-8CDT,M3.2.0",
        "CST-8CDT,M13.2.0,M11.1.0", "CST-8CDT,M3.0.0,M11.1.0", "CST-8CDT,J0,J5", "<+03-3"}) {
    EXPECT_FALSE(PosixZone::parse(text).ok()) << text;
  }
}

TEST(LocalTime, DaysBeforeTheEpochAreWhole) {
  EXPECT_EQ(local_time(-1, 0).day, -1);
  EXPECT_EQ(local_time(-1, 0).second_of_day, 86'399);
  EXPECT_EQ(local_time(-1, 3600).day, 0);
}

}  // namespace
}  // namespace quire::prices::zone_test
