#include "model/prices/decimal.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <random>

namespace quire::prices::decimal_test {
namespace {

Decimal decimal(std::string_view text) { return Decimal::parse(text).value(); }

Sum sum_of(std::string_view text) { return Sum::product(decimal(text), 1).value(); }

std::string rounded(std::string_view text, int digits) {
  return sum_of(text).rounded(digits).fixed(digits);
}

TEST(Decimal, TextIsReadAndPrintedExactly) {
  for (const std::string_view text :
       {"0", "1", "0.003625", "27", "0.000000000000000000000001", "79999999999999.5"}) {
    EXPECT_EQ(decimal(text).text(), text);
  }
  EXPECT_EQ(decimal("007.500").text(), "7.5");
}

TEST(Decimal, WhatIsNoNumberIsRefused) {
  for (const std::string_view text :
       {"", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "0x1", "1.2.3", "nan"}) {
    EXPECT_FALSE(Decimal::parse(text).ok()) << text;
  }
}

TEST(Decimal, MoreDigitsThanItHasAreRefusedAndNotRounded) {
  EXPECT_FALSE(Decimal::parse("0.0000000000000000000000001").ok());
}

TEST(Decimal, APriceTimesARatioTimesAMultiplierPerMillionTokensIsExact) {
  const Decimal price = decimal("0.000001").over(1'000'000).value();
  const Decimal unit = price.times(decimal("0.000001")).value().times(decimal("0.000001")).value();
  EXPECT_EQ(unit.text(), "0.000000000000000000000001");
  EXPECT_FALSE(unit.times(decimal("0.1")).ok());
}

TEST(Decimal, FactorsWhoseZerosComeFromTwosAndFivesAreExact) {
  EXPECT_EQ(decimal("0.5").times(decimal("0.2")).value().text(), "0.1");
  EXPECT_EQ(decimal("0.000000000005").times(decimal("0.000000000002")).value().text(),
            "0.00000000000000000000001");
}

TEST(Decimal, OverflowIsAnErrorAndNeverAWrap) {
  const Decimal most = decimal("80000000000000");
  EXPECT_FALSE(Decimal::parse("80000000000000.1").ok());
  EXPECT_FALSE(Decimal::parse("99999999999999999999999999999999999999999").ok());
  EXPECT_FALSE(most.times(2).ok());
  EXPECT_FALSE(most.times(UINT64_MAX).ok());
  EXPECT_FALSE(most.times(most).ok());
  const Sum most_sum = Sum::product(most, 1).value();
  EXPECT_FALSE(most_sum.plus(most_sum).ok());
  EXPECT_FALSE(Sum::product(most, UInt128{1} << 100).ok());
  EXPECT_FALSE(Sum().minus(most_sum).value().minus(most_sum).ok());
}

TEST(Decimal, DivisionThatIsNotExactIsRefused) {
  EXPECT_EQ(decimal("5").over(1000).value().text(), "0.005");
  EXPECT_FALSE(decimal("1").over(3).ok());
}

TEST(Sum, HalfGoesToTheEvenNeighbour) {
  EXPECT_EQ(rounded("0.5", 0), "0");
  EXPECT_EQ(rounded("1.5", 0), "2");
  EXPECT_EQ(rounded("2.5", 0), "2");
  EXPECT_EQ(rounded("0.0000005", 6), "0.000000");
  EXPECT_EQ(rounded("0.0000015", 6), "0.000002");
  EXPECT_EQ(rounded("0.000000500000000000000001", 6), "0.000001");
  EXPECT_EQ(rounded("0.000000499999999999999999", 6), "0.000000");
}

TEST(Sum, NegativeSumsRoundAsPositiveOnesDo) {
  EXPECT_EQ(Sum().minus(sum_of("2.5")).value().rounded(0).fixed(0), "-2");
  EXPECT_EQ(Sum().minus(sum_of("1.5")).value().rounded(0).fixed(0), "-2");
  EXPECT_EQ(Sum().minus(sum_of("0.126")).value().rounded(2).text(), "-0.13");
}

TEST(Sum, PartsOfAnHourAddUpToTheHour) {
  const Decimal price = decimal("0.000000000000000000000001");
  Sum sum;
  for (int i = 0; i < 3600; ++i) sum = sum.plus(Sum::product(price, 1, 3600).value()).value();
  EXPECT_EQ(sum, Sum::product(price, 1).value());
}

TEST(Sum, APartBelowTheLastDigitBreaksATie) {
  const Sum half = sum_of("0.5");
  const Sum grain = Sum::product(decimal("0.000000000000000000000001"), 1, 3600).value();
  EXPECT_EQ(half.rounded(0).text(), "0");
  EXPECT_EQ(half.plus(grain).value().rounded(0).text(), "1");
  EXPECT_EQ(half.minus(grain).value().rounded(0).text(), "0");
  EXPECT_EQ(Sum().minus(half).value().plus(grain).value().rounded(0).text(), "0");
  EXPECT_EQ(Sum().minus(half).value().minus(grain).value().rounded(0).text(), "-1");
}

TEST(Sum, ATiBHourIsExactHoweverItIsCut) {
  constexpr uint64_t kTiBHour = Sum::kParts;
  const Decimal price = decimal("13.37");
  const Sum whole = Sum::product(price, UInt128{kTiBHour} * 1000, kTiBHour).value();
  EXPECT_EQ(whole.rounded(6).text(), "13370");
  Sum cut;
  for (int i = 0; i < 999; ++i) {
    cut = cut.plus(Sum::product(price, UInt128{kTiBHour} + 12'345, kTiBHour).value()).value();
  }
  cut = cut.plus(Sum::product(price, UInt128{kTiBHour} - 999 * 12'345, kTiBHour).value()).value();
  EXPECT_EQ(cut, whole);
}

TEST(Sum, OrderDoesNotMatter) {
  EXPECT_TRUE(rc::check([] {
    const auto counts = *rc::gen::container<std::vector<uint32_t>>(rc::gen::arbitrary<uint32_t>());
    const Decimal price = decimal("0.000000000003");
    const auto add_all = [&](const std::vector<uint32_t>& list) {
      Sum sum;
      for (const uint32_t count : list) {
        const uint64_t divisor = count % 3 == 0 ? 3600 : count % 3 == 1 ? Sum::kParts : 1;
        sum = sum.plus(Sum::product(price, count, divisor).value()).value();
      }
      return sum;
    };
    std::vector<uint32_t> shuffled = counts;
    std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(1));
    RC_ASSERT(add_all(counts) == add_all(shuffled));
  }));
}

}  // namespace
}  // namespace quire::prices::decimal_test
