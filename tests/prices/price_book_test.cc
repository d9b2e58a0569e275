#include "model/prices/price_book.h"

#include <gtest/gtest.h>

namespace quire::prices::price_book_test {
namespace {

using model::Errc;
using model::Result;

const std::string kRates = "miss = '1'\nhit = '0.1'\noutput = '2'\n";

std::string price_of(const std::string& model, const std::string& times,
                     const std::string& rates = kRates) {
  return "[[price]]\nmodel = '" + model + "'\ncurrency = 'USD'\n" + times + rates;
}

const std::string kFrom2026 = "from = 2026-01-01T00:00:00Z\n";

Result<PriceBook> parse(const std::string& text) {
  return PriceBook::parse("vendor = 'v'\n" + text, QUIRE_SOURCE_DIR "/configs/prices/book.toml");
}

// Errors name the line, the first one of which is 'vendor'.
void expect_refused(const std::string& text, int line, const std::string& what) {
  const Result<PriceBook> book = parse(text);
  ASSERT_FALSE(book.ok()) << text;
  EXPECT_EQ(book.code(), Errc::kInvalidArgument);
  const std::string place = "book.toml:" + std::to_string(line) + ": ";
  EXPECT_NE(book.error().text.find(place), std::string::npos) << book.error().text << "\n" << text;
  EXPECT_NE(book.error().text.find(what), std::string::npos) << book.error().text << "\n" << text;
}

TEST(PriceBook, APriceIsReadWithItsLine) {
  const PriceBook book = parse(price_of("m", kFrom2026)).value();
  ASSERT_EQ(book.prices().size(), 1u);
  const PriceEntry& entry = book.prices()[0];
  EXPECT_EQ(entry.model, "m");
  EXPECT_EQ(entry.valid.line, 2u);
  EXPECT_EQ(entry.valid.until_us, INT64_MAX);
  EXPECT_EQ(entry.classes[0][0].hit.text(), "0.1");
  EXPECT_EQ(entry.classes[0][0].explicit_hit.text(), "0.1");
  EXPECT_EQ(entry.classes[0][0].up_to, UINT64_MAX);
  EXPECT_EQ(book.digits("USD"), kDefaultDigits);
}

TEST(PriceBook, RatiosAreOfTheMiss) {
  const PriceBook book =
      parse(price_of("m", kFrom2026,
                     "miss = '4'\nhit_ratio = '0.025'\nexplicit_hit_ratio = '0.5'\noutput = '2'\n"
                     "write_ratio = {5m = '1.25', 1h = '2'}\ndefault_ttl = '5m'\n"))
          .value();
  const Rates& rates = book.prices()[0].classes[0][0];
  EXPECT_EQ(rates.hit.text(), "0.1");
  EXPECT_EQ(rates.explicit_hit.text(), "2");
  ASSERT_EQ(rates.writes.size(), 2u);
  EXPECT_EQ(rates.writes[0].ttl, "1h");
  EXPECT_EQ(rates.writes[0].price.text(), "8");
  EXPECT_EQ(rates.writes[1].price.text(), "5");
}

TEST(PriceBook, UnknownKeysAreRefusedEverywhere) {
  expect_refused("vender = 'v'\n", 2, "nearest is 'vendor'");
  expect_refused(price_of("m", kFrom2026) + "hits = '1'\n", 9, "nearest is 'hit'");
  expect_refused("[[alias]]\nnam = 'a'\n", 3, "nearest is 'name'");
  expect_refused("[[item]]\nnam = 'a'\nprice = '1'\ncurrency = 'USD'\n" + kFrom2026, 3, "'name'");
  expect_refused("[[storage]]\nmodels = 'a'\nprice = '1'\n", 3, "'model'");
  expect_refused(price_of("m", kFrom2026, "bands = [{miss = '1', hit = '1', outputs = '2'}]\n"), 6,
                 "'output'");
}

TEST(PriceBook, ACurrencyIsThreeCapitals) {
  for (const std::string wrong : {"dollars", "usd", "", "US"}) {
    const std::string text =
        "[[price]]\nmodel = 'm'\ncurrency = '" + wrong + "'\n" + kFrom2026 + kRates;
    expect_refused(text, 4, "is no currency");
    expect_refused("[[item]]\nname = 'a'\nprice = '1'\ncurrency = '" + wrong + "'\n" + kFrom2026, 5,
                   "is no currency");
  }
}

TEST(PriceBook, AMissingPriceIsRefused) {
  expect_refused(price_of("m", kFrom2026, "miss = '1'\nhit = '1'\n"), 2, "'output'");
  expect_refused(price_of("m", kFrom2026, "miss = '1'\noutput = '1'\n"), 2, "'hit'");
  expect_refused(price_of("m", kFrom2026, "hit = '1'\noutput = '1'\n"), 2, "'miss'");
  expect_refused(price_of("m", ""), 2, "'from'");
}

TEST(PriceBook, PricesAreDecimalTextsOfSixDigits) {
  expect_refused(price_of("m", kFrom2026, "miss = 1\nhit = '1'\noutput = '1'\n"), 6,
                 "must be a text in quotes");
  expect_refused(price_of("m", kFrom2026, "miss = '1e-3'\nhit = '1'\noutput = '1'\n"), 6,
                 "no decimal number");
  expect_refused(price_of("m", kFrom2026, "miss = '1'\nhit = '-1'\noutput = '1'\n"), 7,
                 "no decimal number");
  expect_refused(price_of("m", kFrom2026, "miss = '0.0000001'\nhit = '1'\noutput = '1'\n"), 6,
                 "more than 6 digits");
  expect_refused(price_of("m", kFrom2026, kRates + "hit_ratio = '0.1'\n"), 9, "'hit' gives");
}

TEST(PriceBook, InstantsNeedAnOffset) {
  expect_refused(price_of("m", "from = 2026-01-01T00:00:00\n"), 5, "offset");
  expect_refused(price_of("m", "from = 2026-01-01\n"), 5, "offset");
  expect_refused(price_of("m", kFrom2026 + "until = 2026-01-01T00:00:00Z\n"), 6, "after 'from'");
}

TEST(PriceBook, AGapInTimeNamesTheLineBehindIt) {
  const std::string first = price_of("m", kFrom2026 + "until = 2026-02-01T00:00:00Z\n");
  EXPECT_TRUE(parse(first + price_of("m", "from = 2026-02-01T08:00:00+08:00\n")).ok());
  expect_refused(first + price_of("m", "from = 2026-02-01T00:00:01Z\n"), 10,
                 "a gap without a price");
  // Another model, or another currency, has a time of its own.
  EXPECT_TRUE(parse(first + price_of("n", "from = 2026-02-01T00:00:01Z\n")).ok());
}

TEST(PriceBook, AnOverlapInTimeNamesTheLineOfTheLater) {
  const std::string first = price_of("m", kFrom2026 + "until = 2026-02-01T00:00:00Z\n");
  expect_refused(first + price_of("m", "from = 2026-01-31T23:59:59Z\n"), 10, "line 2");
  expect_refused(price_of("m", kFrom2026) + price_of("m", "from = 2026-02-01T00:00:00Z\n"), 9,
                 "give that one an 'until'");
}

TEST(PriceBook, BandsReachFromZeroToAnyLength) {
  const auto bands = [](const std::string& first, const std::string& second) {
    const std::string rates = "miss = '1', hit = '1', output = '1'";
    return price_of("m", kFrom2026,
                    "bands = [\n{" + first + rates + "},\n{" + second + rates + "}]\n");
  };
  EXPECT_TRUE(parse(bands("up_to = 100, ", "above = 100, ")).ok());
  expect_refused(bands("up_to = 100, ", "above = 101, "), 8, "the one before it ends at 100");
  expect_refused(bands("up_to = 100, ", "above = 99, "), 8, "the one before it ends at 100");
  expect_refused(bands("above = 1, up_to = 100, ", "above = 100, "), 7, "ends at 0");
  expect_refused(bands("", "above = 100, "), 8, "no 'up_to'");
  expect_refused(bands("up_to = 100, ", "above = 100, up_to = 200, "), 6,
                 "prompts above 200 tokens have no price");
  expect_refused(bands("up_to = 0, ", "above = 0, "), 7, "has no lengths");
}

TEST(PriceBook, EveryClassOfTheScheduleHasAPrice) {
  const std::string schedule =
      "[[schedule]]\nname = 's'\nzone = 'UTC'\notherwise = 'low'\n"
      "classes = [{name = 'high', days = ['mon'], times = ['01:00-02:00']}]\n";
  const std::string rates = "{miss = '1', hit = '1', output = '1'}";
  EXPECT_TRUE(parse(schedule + price_of("m", kFrom2026,
                                        "schedule = 's'\nclass = {low = " + rates +
                                            ", high = " + rates + "}\n"))
                  .ok());
  expect_refused(
      schedule + price_of("m", kFrom2026, "schedule = 's'\nclass = {low = " + rates + "}\n"), 12,
      "no price of class 'high'");
  expect_refused(
      schedule + price_of("m", kFrom2026,
                          "schedule = 's'\nclass = {low = " + rates + ", hi = " + rates + "}\n"),
      12, "nearest is 'high'");
  expect_refused(schedule + price_of("m", kFrom2026, "schedule = 't'\nclass = {}\n"), 11,
                 "no [[schedule]] 't'");
  expect_refused(schedule + price_of("m", kFrom2026, "schedule = 's'\n" + kRates), 13,
                 "unknown key 'hit'");
}

TEST(PriceBook, TtlsOfWritesAreOnesThatHaveAPrice) {
  const std::string writes = kRates + "write = {5m = '1', 1h = '2'}\n";
  EXPECT_TRUE(parse(price_of("m", kFrom2026, writes + "default_ttl = '1h'\n")).ok());
  EXPECT_TRUE(parse(price_of("m", kFrom2026, writes)).ok());
  expect_refused(price_of("m", kFrom2026, writes + "default_ttl = '30m'\n"), 10, "'default_ttl'");
  expect_refused(price_of("m", kFrom2026, kRates + "default_ttl = '5m'\n"), 9, "'default_ttl'");
  expect_refused(price_of("m", kFrom2026,
                          "default_ttl = '5m'\nbands = [\n"
                          "{up_to = 9, miss = '1', hit = '1', output = '1', write = {5m = '1'}},\n"
                          "{above = 9, miss = '1', hit = '1', output = '1'}]\n"),
                 2, "line 9 has not the TTLs");
}

TEST(PriceBook, AnAliasLeadsToAModelThatHasAPriceThen) {
  const std::string model = price_of("m", kFrom2026 + "until = 2026-06-01T00:00:00Z\n");
  const auto alias = [](const std::string& name, const std::string& target,
                        const std::string& times) {
    return "[[alias]]\nname = '" + name + "'\nmodel = '" + target + "'\n" + times;
  };
  const std::string until_june = kFrom2026 + "until = 2026-06-01T00:00:00Z\n";
  EXPECT_TRUE(parse(model + alias("a", "m", until_june) + alias("b", "a", until_june)).ok());
  expect_refused(model + alias("a", "n", until_june), 10, "leads to n, which has no price");
  expect_refused(model + alias("a", "m", kFrom2026), 10, "leads to m, which has no price");
  expect_refused(model + alias("a", "m",
                               "from = 2025-12-31T23:59:59Z\nuntil = "
                               "2026-06-01T00:00:00Z\n"),
                 10, "no price at 2025-12-31");
  // The middle of b leads nowhere, though both of its ends do not.
  expect_refused(
      model + alias("a", "m", kFrom2026 + "until = 2026-02-01T00:00:00Z\n") +
          alias("a", "m", "from = 2026-03-01T00:00:00Z\nuntil = 2026-06-01T00:00:00Z\n") +
          alias("b", "a", until_june),
      20, "no price at 2026-02-01");
}

TEST(PriceBook, AliasesLeadInNoCircleAndToOneModelAtATime) {
  const std::string model = price_of("m", kFrom2026);
  const auto alias = [](const std::string& name, const std::string& target,
                        const std::string& from) {
    return "[[alias]]\nname = '" + name + "'\nmodel = '" + target + "'\nfrom = " + from + "\n";
  };
  const std::string january = "2026-01-01T00:00:00Z";
  expect_refused(model + alias("a", "b", january) + alias("b", "a", january), 9, "in a circle");
  expect_refused(model + alias("a", "a", january), 9, "in a circle");
  expect_refused(model + alias("a", "m", january) + alias("a", "m", "2026-02-01T00:00:00Z"), 13,
                 "alias a begins at");
  expect_refused(model + price_of("n", kFrom2026) + alias("m", "n", "2026-02-01T00:00:00Z"), 16,
                 "m has a price of its own at 2026-02-01");
}

TEST(PriceBook, ItemsAndStorageAreChecked) {
  const std::string item = "[[item]]\nname = 'search'\ncurrency = 'USD'\nprice = '5'\n" + kFrom2026;
  EXPECT_EQ(parse(item + "per = 1000\n").value().items()[0].price.text(), "0.005");
  expect_refused(item + "per = 0\n", 7, "'per'");
  expect_refused(item + "per = 3\n", 7, "24 digits");
  expect_refused(item + "model = 'm'\n", 2, "no [[price]] of model 'm'");
  expect_refused(item + item, 7, "before");
  const std::string storage = "[[storage]]\ncurrency = 'USD'\nprice = '4.50'\n" + kFrom2026;
  EXPECT_TRUE(parse(storage + "per = 'million_token_hours'\ncharged = 'ttl_set'\n").ok());
  expect_refused(storage + "per = 'tib_hours'\ncharged = 'ttl_set'\n", 7, "tokens");
  expect_refused(storage + "per = 'tib_hours'\ncharged = 'lived'\nmodel = 'm'\n", 2,
                 "no [[price]] of model 'm'");
  expect_refused(storage + "per = 'gib_hours'\ncharged = 'lived'\n", 6, "'tib_hours'");
  expect_refused(storage + "per = 'tib_hours'\ncharged = 'live'\n", 7, "'lived'");
}

TEST(PriceBook, TiersAreFactors) {
  const PriceBook book =
      parse(price_of("m", kFrom2026, kRates + "tiers = {batch = '0.5'}\n")).value();
  ASSERT_EQ(book.prices()[0].tiers.size(), 2u);
  EXPECT_EQ(book.prices()[0].tiers[0].name, "standard");
  EXPECT_EQ(book.prices()[0].tiers[1].factor.text(), "0.5");
  expect_refused(price_of("m", kFrom2026, kRates + "tiers = {standard = '2'}\n"), 9, "standard");
}

TEST(PriceBook, WhatIsNoTomlNamesTheLine) {
  expect_refused("[[price]\n", 2, "");
  EXPECT_EQ(PriceBook::load("/nowhere/book.toml").code(), Errc::kNotFound);
}

}  // namespace
}  // namespace quire::prices::price_book_test
