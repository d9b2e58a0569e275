#include "client/quirectl/meter/stamp.h"

#include <gtest/gtest.h>

#include "model/prices/instant.h"

namespace quire::client::stamp_test {

namespace {

int64_t parsed(std::string_view text) { return prices::parse_instant(text).value(); }

}  // namespace

TEST(Stamp, IsInUtcToTheMicrosecond) {
  EXPECT_EQ(stamp_text(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(stamp_text(1'796'032'800'000'001), "2026-11-30T10:00:00.000001Z");
  EXPECT_EQ(second_text(1'796'032'800'999'999), "2026-11-30T10:00:00Z");
}

TEST(Stamp, IsReadBack) {
  for (const int64_t us : {int64_t{0}, int64_t{951'782'399'999'999}, int64_t{951'782'400'000'000},
                           int64_t{1'796'032'800'000'001}, int64_t{253'402'300'799'999'999}}) {
    EXPECT_EQ(parsed(stamp_text(us)), us);
  }
}

TEST(Stamp, OfADamagedClockIsReadableAllTheSame) {
  EXPECT_EQ(stamp_text(INT64_MIN), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(stamp_text(INT64_MAX), "9999-12-31T23:59:59.999999Z");
}

TEST(Stamp, AMonthEndsWhereTheNextBegins) {
  const MonthBounds december = month_of(parsed("2026-12-31T23:59:59.999999Z"));
  EXPECT_EQ(second_text(december.begin_us), "2026-12-01T00:00:00Z");
  EXPECT_EQ(second_text(december.end_us), "2027-01-01T00:00:00Z");
  EXPECT_EQ(month_of(december.end_us).begin_us, december.end_us);
}

}  // namespace quire::client::stamp_test
