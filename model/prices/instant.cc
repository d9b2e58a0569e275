#include "model/prices/instant.h"

#include <array>
#include <cstdio>

namespace quire::prices {

namespace {

namespace chrono = std::chrono;
using model::Errc;
using model::make_error;
using model::Result;

constexpr int64_t kUsPerSecond = 1'000'000;

// Takes digits and marks off the front of the text; false where something else stands there.
class InstantText {
 public:
  explicit InstantText(std::string_view text) : left_(text) {}

  bool digits(size_t count, int& value) {
    if (left_.size() < count) return false;
    value = 0;
    for (size_t i = 0; i < count; ++i) {
      if (left_[i] < '0' || left_[i] > '9') return false;
      value = value * 10 + (left_[i] - '0');
    }
    left_.remove_prefix(count);
    return true;
  }
  bool mark(char c) {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  // ".25": one to six digits, as microseconds; absent is zero.
  bool fraction_us(int64_t& us) {
    us = 0;
    if (!mark('.')) return true;
    int64_t worth = kUsPerSecond;
    int digit = 0;
    while (worth > 1 && digits(1, digit)) us += digit * (worth /= 10);
    return worth < kUsPerSecond;
  }
  // "Z" or "+08:00".
  bool offset_s(int64_t& seconds) {
    seconds = 0;
    if (mark('Z') || mark('z')) return true;
    const bool west = mark('-');
    int hours = 0, minutes = 0;
    if (!west && !mark('+')) return false;
    if (!digits(2, hours) || !mark(':') || !digits(2, minutes)) return false;
    seconds = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return hours < 24 && minutes < 60;
  }
  bool empty() const { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace

Result<int64_t> parse_instant(std::string_view text) {
  InstantText left(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int64_t fraction_us = 0, offset_s = 0;
  const bool read = left.digits(4, year) && left.mark('-') && left.digits(2, month) &&
                    left.mark('-') && left.digits(2, day) && (left.mark('T') || left.mark(' ')) &&
                    left.digits(2, hour) && left.mark(':') && left.digits(2, minute) &&
                    left.mark(':') && left.digits(2, second) && left.fraction_us(fraction_us) &&
                    left.offset_s(offset_s) && left.empty();
  const chrono::year_month_day date{chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  if (!read || !date.ok() || year < 1970 || hour > 23 || minute > 59 || second > 59) {
    return make_error(Errc::kInvalidArgument,
                      "'" + std::string(text) +
                          "' is no instant with its offset from UTC, such as "
                          "2026-09-15T09:00:00+08:00");
  }
  const int64_t days = chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds = days * 86'400 + hour * 3600 + minute * 60 + second - offset_s;
  return seconds * kUsPerSecond + fraction_us;
}

std::string instant_text(int64_t instant_us) {
  const chrono::sys_time<chrono::microseconds> instant{chrono::microseconds(instant_us)};
  const auto day = chrono::floor<chrono::days>(instant);
  const chrono::hh_mm_ss time(instant - day);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "T%02d:%02d:%02d", static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  std::string whole = date_text(day) + text.data();
  const auto us = static_cast<int>(time.subseconds().count());
  if (us == 0) return whole + "Z";
  std::snprintf(text.data(), text.size(), ".%06dZ", us);
  return whole + text.data();
}

std::string date_text(chrono::sys_days day) {
  const chrono::year_month_day date(day);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", int{date.year()},
                unsigned{date.month()}, unsigned{date.day()});
  return text.data();
}

}  // namespace quire::prices
