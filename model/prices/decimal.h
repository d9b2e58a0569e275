// Money without floating point: whole numbers of 1e-24 of a currency unit.
//
// A price of 1e-6 per million tokens (1e-12 a token), times a ratio of 1e-6 and a multiplier of
// 1e-6, is such a number, so unit prices are exact. What would not be is an error, never rounded;
// the same holds for what is larger than kMaxUnits. A bill is rounded once, at its end
// (Sum::rounded, half to even).
// Threads: any; values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::prices {

// Wide enough for sums of what 64 bits count (bytes times seconds).
__extension__ using Int128 = __int128;
__extension__ using UInt128 = unsigned __int128;

std::string whole_text(UInt128 number);

class Decimal {
 public:
  static constexpr int kDigits = 24;  // behind the point
  // The sum of two of them still fits 128 bits.
  static constexpr uint64_t kMaxUnits = 80'000'000'000'000;

  constexpr Decimal() = default;
  // Digits, maybe with a point and at most kDigits more: "0.003625". No sign, no exponent.
  static model::Result<Decimal> parse(std::string_view text);
  static Decimal one();
  // kInvalidArgument: it is beyond kMaxUnits.
  static model::Result<Decimal> from_raw(Int128 raw);

  // In 1e-24 units.
  Int128 raw() const { return raw_; }
  bool is_zero() const { return raw_ == 0; }
  // All: kInvalidArgument where the result is too large, or no whole number of 1e-24.
  model::Result<Decimal> times(Decimal factor) const;
  model::Result<Decimal> times(uint64_t count) const;
  model::Result<Decimal> over(uint64_t divisor) const;
  // All digits, no trailing zeros: "0.003625", "-2".
  std::string text() const;
  // With exactly so many digits behind the point; what lies behind them must be zero
  // (Sum::rounded).
  std::string fixed(int digits) const;

  friend auto operator<=>(const Decimal&, const Decimal&) = default;

 private:
  explicit constexpr Decimal(Int128 raw) : raw_(raw) {}

  Int128 raw_ = 0;
};

// An exact sum of money. Amounts that are divided by an hour or a TiB-hour leave parts of 1e-24,
// which are kept as a fraction, so that the order of additions does not matter.
class Sum {
 public:
  // A TiB-second to the hour; every divisor of amounts divides it.
  static constexpr uint64_t kParts = uint64_t{3600} << 40;

  // price * count / divisor, exactly; `divisor` divides kParts. All: kInvalidArgument where the
  // result is beyond Decimal::kMaxUnits.
  static model::Result<Sum> product(Decimal price, UInt128 count, uint64_t divisor = 1);
  model::Result<Sum> plus(const Sum& other) const;
  model::Result<Sum> minus(const Sum& other) const;
  // To so many digits behind the point, 0 to 24; half goes to the even neighbour.
  Decimal rounded(int digits) const;

  friend bool operator==(const Sum&, const Sum&) = default;

 private:
  static model::Result<Sum> make(Int128 whole, Int128 part);

  Int128 whole_ = 0;   // in 1e-24 units, rounded down
  uint64_t part_ = 0;  // kParts-ths of 1e-24, below kParts
};

}  // namespace quire::prices
