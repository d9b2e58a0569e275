#include "client/quirectl/meter/stamp.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "model/prices/instant.h"

namespace quire::client {

namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::sys_days;
using std::chrono::sys_time;

constexpr int64_t kLastUs = 253'402'300'799'999'999;  // of the year 9999

int64_t readable(int64_t unix_us) { return std::clamp(unix_us, int64_t{0}, kLastUs); }

sys_days day_of(int64_t readable_us) {
  return floor<days>(sys_time<microseconds>(microseconds(readable_us)));
}

int64_t us_of(sys_days day) { return sys_time<microseconds>(day).time_since_epoch().count(); }

}  // namespace

std::string second_text(int64_t unix_us) {
  const int64_t us = readable(unix_us);
  const sys_days day = day_of(us);
  const auto second = static_cast<int>((us - us_of(day)) / kSecondUs);
  std::array<char, 32> clock;
  std::snprintf(clock.data(), clock.size(), "T%02d:%02d:%02dZ", second / 3600, second / 60 % 60,
                second % 60);
  return prices::date_text(day) + clock.data();
}

int64_t present_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string stamp_text(int64_t unix_us) {
  std::string text = second_text(unix_us);
  text.pop_back();
  std::array<char, 32> fraction;
  std::snprintf(fraction.data(), fraction.size(), ".%06dZ",
                static_cast<int>(readable(unix_us) % kSecondUs));
  return text + fraction.data();
}

MonthBounds month_of(int64_t unix_us) {
  const std::chrono::year_month_day date(day_of(readable(unix_us)));
  const std::chrono::year_month month(date.year(), date.month());
  return {us_of(sys_days(month / 1)), us_of(sys_days((month + std::chrono::months(1)) / 1))};
}

}  // namespace quire::client
