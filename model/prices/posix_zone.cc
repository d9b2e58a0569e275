#include "model/prices/posix_zone.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <string>

namespace quire::prices {

namespace {

namespace chrono = std::chrono;
using model::Errc;
using model::Error;
using model::make_error;
using model::Result;

constexpr int32_t kHourS = 3'600;
constexpr int64_t kCycleS = 146'097 * kDayS;

Error bad_rule(std::string_view text) {
  return make_error(Errc::kInvalidArgument,
                    "'" + std::string(text) + "' is no time zone rule of POSIX");
}

// Takes what it reads off the front of the text; false where that is not there.
class RuleText {
 public:
  explicit RuleText(std::string_view text) : left_(text) {}

  bool empty() const { return left_.empty(); }
  bool take(char c) {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  // "CST" or "<+0330>".
  bool name() {
    const bool quoted = take('<');
    size_t length = 0;
    while (length < left_.size() && in_name(left_[length], quoted)) ++length;
    left_.remove_prefix(length);
    return length >= 3 && (!quoted || take('>'));
  }
  bool number(int32_t limit, int32_t& value) {
    const auto [end, failure] = std::from_chars(left_.data(), left_.data() + left_.size(), value);
    if (failure != std::errc() || value < 0 || value > limit) return false;
    left_.remove_prefix(static_cast<size_t>(end - left_.data()));
    return true;
  }
  // [+-]hh[:mm[:ss]]
  bool time(int32_t& seconds) {
    const bool negative = take('-');
    if (!negative) take('+');
    int32_t hours = 0, minutes = 0, rest = 0;
    if (left_.starts_with('-') || !number(167, hours)) return false;
    if (take(':') && !number(59, minutes)) return false;
    if (take(':') && !number(59, rest)) return false;
    seconds = (hours * kHourS + minutes * 60 + rest) * (negative ? -1 : 1);
    return true;
  }
  // ",M3.2.0/2", ",J60", ",59"
  bool change(PosixChange& change) {
    using Kind = PosixChange::Kind;
    if (!take(',')) return false;
    bool ok = false;
    if (take('M')) {
      change.kind = Kind::kWeekday;
      ok = number(12, change.month) && take('.') && number(5, change.week) && take('.') &&
           number(6, change.weekday) && change.month > 0 && change.week > 0;
    } else if (take('J')) {
      change.kind = Kind::kJulian;
      ok = number(365, change.day) && change.day > 0;
    } else {
      change.kind = Kind::kDayOfYear;
      ok = number(365, change.day);
    }
    return ok && (!take('/') || time(change.seconds));
  }

 private:
  static bool in_name(char c, bool quoted) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return letter || (quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-'));
  }

  std::string_view left_;
};

int64_t day_of(const PosixChange& change, chrono::year year) {
  using Kind = PosixChange::Kind;
  const chrono::sys_days first = year / chrono::January / 1;
  if (change.kind == Kind::kDayOfYear) return first.time_since_epoch().count() + change.day;
  if (change.kind == Kind::kJulian) {
    const bool behind_february = year.is_leap() && change.day >= 60;
    return first.time_since_epoch().count() + change.day - 1 + (behind_february ? 1 : 0);
  }
  const chrono::month month(static_cast<unsigned>(change.month));
  const chrono::weekday weekday(static_cast<unsigned>(change.weekday));
  const chrono::sys_days day =
      change.week == 5
          ? chrono::sys_days(year / month / weekday[chrono::last])
          : chrono::sys_days(year / month / weekday[static_cast<unsigned>(change.week)]);
  return day.time_since_epoch().count();
}

struct OffsetChange {
  int64_t at_s;
  int32_t offset_s;  // from then on
};

}  // namespace

Result<PosixZone> PosixZone::parse(std::string_view text) {
  RuleText rule(text);
  PosixZone zone;
  int32_t west_s = 0;
  if (!rule.name() || !rule.time(west_s)) return bad_rule(text);
  zone.offset_s_ = -west_s;
  if (rule.empty()) return zone;
  Saving saving{.offset_s = zone.offset_s_ + kHourS, .begin = {}, .end = {}};
  if (!rule.name()) return bad_rule(text);
  if (rule.time(west_s)) saving.offset_s = -west_s;
  if (!rule.change(saving.begin) || !rule.change(saving.end) || !rule.empty()) {
    return bad_rule(text);
  }
  zone.saving_ = saving;
  return zone;
}

OffsetStretch PosixZone::at(int64_t utc_s) const {
  if (!saving_) return {.offset_s = offset_s_};
  // The calendar repeats itself every 400 years; std::chrono knows some 32,000 of them.
  const int64_t cycle = utc_s / kCycleS - (utc_s % kCycleS < 0 ? 1 : 0);
  OffsetStretch stretch = at_year_of(utc_s - cycle * kCycleS);
  stretch.from_s += cycle * kCycleS;
  stretch.until_s += cycle * kCycleS;
  return stretch;
}

OffsetStretch PosixZone::at_year_of(int64_t utc_s) const {
  const chrono::year_month_day date{chrono::sys_days(chrono::days(utc_s / kDayS))};
  // Of two years around it: a rule may name the last day of a year and a week behind it, so that a
  // year alone, or the one before it, need not have a change before the instant.
  std::array<OffsetChange, 10> changes{};
  for (int i = 0; i < 5; ++i) {
    const chrono::year year = date.year() + chrono::years(i - 2);
    const auto at = static_cast<size_t>(i) * 2;
    changes[at] = {day_of(saving_->begin, year) * kDayS + saving_->begin.seconds - offset_s_,
                   saving_->offset_s};
    changes[at + 1] = {
        day_of(saving_->end, year) * kDayS + saving_->end.seconds - saving_->offset_s, offset_s_};
  }
  std::sort(changes.begin(), changes.end(),
            [](const OffsetChange& a, const OffsetChange& b) { return a.at_s < b.at_s; });
  const auto next = std::find_if(changes.begin(), changes.end(),
                                 [&](const OffsetChange& change) { return change.at_s > utc_s; });
  const OffsetChange& last = *(next - 1);
  return {.from_s = last.at_s, .until_s = next->at_s, .offset_s = last.offset_s};
}

}  // namespace quire::prices
