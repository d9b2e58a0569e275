#include "model/prices/decimal.h"

#include <algorithm>

#include "model/check.h"

namespace quire::prices {

namespace {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;

constexpr Int128 power_of_ten(int exponent) {
  Int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

constexpr Int128 kUnit = power_of_ten(Decimal::kDigits);
constexpr Int128 kMaxRaw = Int128{Decimal::kMaxUnits} * kUnit;

Error too_large() {
  return make_error(Errc::kInvalidArgument,
                    "an amount is above " + std::to_string(Decimal::kMaxUnits) + " units");
}

Error not_exact() {
  return make_error(
      Errc::kInvalidArgument,
      "an amount has more than " + std::to_string(Decimal::kDigits) + " digits behind the point");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// As long as both have a zero to give: divides `number` and takes it off the digits to remove.
void strip_zeros(Int128& number, int& to_remove) {
  while (to_remove > 0 && number != 0 && number % 10 == 0) {
    number /= 10;
    --to_remove;
  }
}

// a * b / divisor, rounded down, and what is left; b is below the divisor, which is below 2^53: so
// both halves of `a` can be multiplied by it in 128 bits.
UInt128 multiply_divide(UInt128 a, uint64_t b, uint64_t divisor, uint64_t& left) {
  const UInt128 high = (a >> 64) * b;
  const UInt128 low = ((high % divisor) << 64) + UInt128{static_cast<uint64_t>(a)} * b;
  left = static_cast<uint64_t>(low % divisor);
  return ((high / divisor) << 64) + low / divisor;
}

Int128 floor_divide(Int128 a, Int128 b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

std::string whole_text(UInt128 number) {
  std::string reversed;
  do {
    reversed += static_cast<char>('0' + static_cast<int>(number % 10));
    number /= 10;
  } while (number != 0);
  return {reversed.rbegin(), reversed.rend()};
}

Result<Decimal> Decimal::parse(std::string_view text) {
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  const std::string_view behind = point < text.size() ? text.substr(point + 1) : std::string_view();
  if (whole.empty() || (point < text.size() && behind.empty()) ||
      !std::all_of(whole.begin(), whole.end(), is_digit) ||
      !std::all_of(behind.begin(), behind.end(), is_digit)) {
    return make_error(Errc::kInvalidArgument,
                      "'" + std::string(text) + "' is no decimal number such as 0.003625");
  }
  if (behind.size() > kDigits) return not_exact();
  Int128 raw = 0;
  for (const char c : whole) {
    raw = raw * 10 + (c - '0');
    if (raw > Int128{kMaxUnits}) return too_large();
  }
  for (int i = 0; i < kDigits; ++i) {
    const auto at = static_cast<size_t>(i);
    raw = raw * 10 + (at < behind.size() ? behind[at] - '0' : 0);
  }
  return from_raw(raw);
}

Decimal Decimal::one() { return Decimal(kUnit); }

Result<Decimal> Decimal::from_raw(Int128 raw) {
  if (raw > kMaxRaw || raw < -kMaxRaw) return too_large();
  return Decimal(raw);
}

Result<Decimal> Decimal::times(Decimal factor) const {
  Int128 a = raw_;
  Int128 b = factor.raw_;
  int to_remove = kDigits;
  strip_zeros(a, to_remove);
  strip_zeros(b, to_remove);
  Int128 product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return too_large();
  const Int128 divisor = power_of_ten(to_remove);
  if (product % divisor != 0) return not_exact();
  return from_raw(product / divisor);
}

Result<Decimal> Decimal::times(uint64_t count) const {
  Int128 product = 0;
  if (__builtin_mul_overflow(raw_, Int128{count}, &product)) return too_large();
  return from_raw(product);
}

Result<Decimal> Decimal::over(uint64_t divisor) const {
  QUIRE_CHECK(divisor != 0);
  if (raw_ % Int128{divisor} != 0) return not_exact();
  return Decimal(raw_ / Int128{divisor});
}

std::string Decimal::text() const {
  std::string text = fixed(kDigits);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string Decimal::fixed(int digits) const {
  QUIRE_CHECK(digits >= 0 && digits <= kDigits);
  const Int128 step = power_of_ten(kDigits - digits);
  QUIRE_CHECK(raw_ % step == 0);
  const Int128 scaled = raw_ / step;
  std::string text = whole_text(static_cast<UInt128>(scaled < 0 ? -scaled : scaled));
  const auto behind = static_cast<size_t>(digits);
  if (text.size() <= behind) text.insert(0, behind + 1 - text.size(), '0');
  if (behind > 0) text.insert(text.size() - behind, ".");
  return scaled < 0 ? "-" + text : text;
}

Result<Sum> Sum::make(Int128 whole, Int128 part) {
  const Int128 carried = floor_divide(part, kParts);
  Sum sum;
  sum.whole_ = QUIRE_TRY(Decimal::from_raw(whole + carried)).raw();
  sum.part_ = static_cast<uint64_t>(part - carried * Int128{kParts});
  return sum;
}

Result<Sum> Sum::product(Decimal price, UInt128 count, uint64_t divisor) {
  QUIRE_CHECK(divisor != 0 && kParts % divisor == 0 && price.raw() >= 0);
  const UInt128 price_raw = static_cast<UInt128>(price.raw());
  UInt128 whole = 0;
  if (__builtin_mul_overflow(price_raw, count / divisor, &whole)) return too_large();
  uint64_t left = 0;
  const auto rest = static_cast<uint64_t>(count % divisor);
  // Below the price, and that is below 2^127: both add up without an overflow.
  const UInt128 more = multiply_divide(price_raw, rest, divisor, left);
  if (whole > static_cast<UInt128>(kMaxRaw)) return too_large();
  return make(static_cast<Int128>(whole + more), Int128{left} * Int128{kParts / divisor});
}

Result<Sum> Sum::plus(const Sum& other) const {
  return make(whole_ + other.whole_, Int128{part_} + Int128{other.part_});
}

Result<Sum> Sum::minus(const Sum& other) const {
  return make(whole_ - other.whole_, Int128{part_} - Int128{other.part_});
}

Decimal Sum::rounded(int digits) const {
  QUIRE_CHECK(digits >= 0 && digits <= Decimal::kDigits);
  const Int128 step = power_of_ten(Decimal::kDigits - digits);
  Int128 quotient = floor_divide(whole_, step);
  // Twice what lies behind the digits, against one step; the fraction below 1e-24 breaks a tie.
  Int128 twice = (whole_ - quotient * step) * 2;
  Int128 against = step;
  uint64_t tie = part_;
  if (step == 1) {
    twice = Int128{part_} * 2;
    against = Int128{kParts};
    tie = 0;
  }
  const bool half = twice == against && tie == 0;
  if (half ? quotient % 2 != 0 : twice >= against) ++quotient;
  const Result<Decimal> result = Decimal::from_raw(quotient * step);
  // Only the step behind the largest amount is beyond it.
  return result.ok() ? *result : *Decimal::from_raw(quotient < 0 ? -kMaxRaw : kMaxRaw);
}

}  // namespace quire::prices
