// Each shape of prices, by a book of its own.
#include "model/prices/pricer.h"

#include <gtest/gtest.h>

#include "model/prices/instant.h"

namespace quire::prices::pricer_test {
namespace {

const std::string kPath = QUIRE_SOURCE_DIR "/configs/prices/book.toml";
const std::string kHead =
    "vendor = 'v'\n[[price]]\nmodel = 'm'\ncurrency = 'USD'\n"
    "from = 2026-01-01T00:00:00Z\n";
const std::string kRates = "miss = '4'\nhit = '1'\noutput = '8'\n";

// A book and its pricer, which does not outlive it.
struct Rig {
  explicit Rig(const std::string& text)
      : book(PriceBook::parse(text, kPath).value()), pricer(Pricer::create(book).value()) {}

  // Of the request at `instant`, in the currency at `currency`.
  Charge charge(Billable request, std::string_view instant = "2026-06-01T00:00:00Z",
                size_t currency = 0) {
    request.instant_us = parse_instant(instant).value();
    if (request.model.empty()) request.model = "m";
    return pricer.price(request, currency);
  }
  // Of a million tokens.
  std::string price(const Charge& charged, TokenKind kind) {
    EXPECT_EQ(charged.unpriced, Unpriced::kNot) << unpriced_text(charged.unpriced);
    const Decimal unit = pricer.cell(charged.cell).prices[static_cast<size_t>(kind)];
    return unit.times(1'000'000).value().text();
  }

  PriceBook book;
  Pricer pricer;
};

Billable prompt(uint64_t tokens, uint64_t hit = 0) {
  return {.prompt_tokens = tokens, .hit_tokens = hit, .missed_tokens = tokens - hit};
}

uint64_t count(const Charge& charge, TokenKind kind) {
  return charge.tokens[static_cast<size_t>(kind)];
}

TEST(Pricer, TokensOfARequestAreHitsMissesAndOutput) {
  Rig rig(kHead + kRates);
  Billable request = prompt(1000, 900);
  request.output_tokens = 50;
  const Charge charge = rig.charge(request);
  EXPECT_EQ(count(charge, TokenKind::kHit), 900u);
  EXPECT_EQ(count(charge, TokenKind::kMiss), 100u);
  EXPECT_EQ(count(charge, TokenKind::kOutput), 50u);
  EXPECT_EQ(rig.price(charge, TokenKind::kHit), "1");
  EXPECT_EQ(rig.price(charge, TokenKind::kMiss), "4");
  EXPECT_EQ(rig.price(charge, TokenKind::kOutput), "8");
}

TEST(Pricer, ReplayedTokensAreMissesUnlessTheBookSaysOtherwise) {
  const Billable request{
      .prompt_tokens = 1000, .hit_tokens = 700, .replayed_tokens = 200, .missed_tokens = 100};
  Rig rig(kHead + kRates);
  EXPECT_EQ(count(rig.charge(request), TokenKind::kHit), 700u);
  EXPECT_EQ(count(rig.charge(request), TokenKind::kMiss), 300u);
  Rig as_hit(kHead + kRates + "replayed = 'hit'\n");
  EXPECT_EQ(count(as_hit.charge(request), TokenKind::kHit), 900u);
  EXPECT_EQ(count(as_hit.charge(request), TokenKind::kMiss), 100u);
}

TEST(Pricer, WhatDoesNotAddUpToThePromptIsNotPriced) {
  Rig rig(kHead + kRates);
  EXPECT_EQ(rig.charge({.prompt_tokens = 10, .hit_tokens = 5, .missed_tokens = 4}).unpriced,
            Unpriced::kBadSum);
  EXPECT_EQ(rig.charge({.prompt_tokens = 1, .hit_tokens = UINT64_MAX, .missed_tokens = 2}).unpriced,
            Unpriced::kBadSum);
}

TEST(Pricer, APriceHoldsFromItsInstantToTheNextOne) {
  Rig rig(kHead + kRates +
          "until = 2026-08-16T16:00:00Z\n[[price]]\nmodel = 'm'\n"
          "currency = 'USD'\nfrom = 2026-08-17T00:00:00+08:00\n"
          "miss = '5'\nhit = '2'\noutput = '9'\n");
  const auto miss_at = [&](std::string_view instant) {
    return rig.price(rig.charge(prompt(1), instant), TokenKind::kMiss);
  };
  EXPECT_EQ(miss_at("2026-01-01T00:00:00Z"), "4");
  EXPECT_EQ(miss_at("2026-08-16T15:59:59.999999Z"), "4");
  EXPECT_EQ(miss_at("2026-08-16T16:00:00Z"), "5");
  EXPECT_EQ(rig.charge(prompt(1), "2025-12-31T23:59:59.999999Z").unpriced, Unpriced::kNoPriceThen);
}

TEST(Pricer, AChangeInsideAPeakWindowIsAtItsInstant) {
  const std::string schedule =
      "[[schedule]]\nname = 's'\nzone = 'Asia/Shanghai'\notherwise = 'off_peak'\n"
      "classes = [{name = 'peak', days = ['tue'], times = ['09:00-12:00']}]\n";
  const auto entry = [](const std::string& times, const std::string& low, const std::string& high) {
    return "[[price]]\nmodel = 'm'\ncurrency = 'USD'\nschedule = 's'\n" + times +
           "[price.class]\noff_peak = {miss = '" + low +
           "', hit = '0', output = '0'}\npeak = {miss = '" + high + "', hit = '0', output = '0'}\n";
  };
  Rig rig("vendor = 'v'\n" + schedule +
          entry("from = 2026-01-01T00:00:00Z\nuntil = 2026-09-15T10:30:00+08:00\n", "1", "2") +
          entry("from = 2026-09-15T10:30:00+08:00\n", "3", "6"));
  const auto miss_at = [&](std::string_view instant) {
    return rig.price(rig.charge(prompt(1), instant), TokenKind::kMiss);
  };
  EXPECT_EQ(miss_at("2026-09-15T08:59:59+08:00"), "1");
  EXPECT_EQ(miss_at("2026-09-15T10:29:59+08:00"), "2");
  EXPECT_EQ(miss_at("2026-09-15T10:30:00+08:00"), "6");
  EXPECT_EQ(miss_at("2026-09-15T12:00:00+08:00"), "3");
}

TEST(Pricer, ABandMovesTheWholeRequest) {
  Rig rig(kHead +
          "bands = [{up_to = 272000, miss = '2', hit = '0.1', output = '10'},\n"
          "{above = 272000, miss = '4', hit = '0.2', output = '15'}]\n");
  const Charge within = rig.charge(prompt(272'000, 271'999));
  EXPECT_EQ(rig.price(within, TokenKind::kMiss), "2");
  EXPECT_EQ(rig.price(within, TokenKind::kOutput), "10");
  const Charge beyond = rig.charge(prompt(272'001, 272'000));
  EXPECT_EQ(rig.price(beyond, TokenKind::kMiss), "4");
  EXPECT_EQ(rig.price(beyond, TokenKind::kHit), "0.2");
  EXPECT_EQ(rig.price(beyond, TokenKind::kOutput), "15");
  EXPECT_EQ(count(beyond, TokenKind::kHit), 272'000u);
}

TEST(Pricer, AWriteIsChargedInsteadOfAMissByItsTtl) {
  Rig rig(kHead + kRates + "write = {5m = '5', 1h = '8'}\ndefault_ttl = '5m'\n");
  Billable request = prompt(1000, 600);
  request.written_tokens = 300;
  const Charge charge = rig.charge(request);
  EXPECT_EQ(count(charge, TokenKind::kWrite), 300u);
  EXPECT_EQ(count(charge, TokenKind::kMiss), 100u);
  EXPECT_EQ(rig.price(charge, TokenKind::kWrite), "5");
  request.retention = "1h";
  EXPECT_EQ(rig.price(rig.charge(request), TokenKind::kWrite), "8");
  request.retention = "12h";
  EXPECT_EQ(rig.charge(request).unpriced, Unpriced::kNoTtl);
}

TEST(Pricer, WithoutADefaultTtlOnlyWritesOfARetentionClassHaveAPrice) {
  Rig rig(kHead + kRates + "write = {5m = '5'}\n");
  Billable request = prompt(1000, 600);
  request.written_tokens = 300;
  EXPECT_EQ(count(rig.charge(request), TokenKind::kWrite), 0u);
  EXPECT_EQ(count(rig.charge(request), TokenKind::kMiss), 400u);
  request.retention = "5m";
  EXPECT_EQ(count(rig.charge(request), TokenKind::kWrite), 300u);
}

TEST(Pricer, WhatWasWrittenOfTheOutputIsNoPartOfThePrompt) {
  Rig rig(kHead + kRates + "write = {5m = '5'}\ndefault_ttl = '5m'\n");
  Billable request = prompt(1000, 600);
  request.written_tokens = 5000;
  EXPECT_EQ(count(rig.charge(request), TokenKind::kWrite), 400u);
  EXPECT_EQ(count(rig.charge(request), TokenKind::kMiss), 0u);
}

TEST(Pricer, WhereWritingIsFreeItIsAMiss) {
  Rig rig(kHead + kRates);
  Billable request = prompt(1000, 600);
  request.written_tokens = 300;
  request.retention = "whatever";
  const Charge charge = rig.charge(request);
  EXPECT_EQ(charge.unpriced, Unpriced::kNot);
  EXPECT_EQ(count(charge, TokenKind::kMiss), 400u);
}

TEST(Pricer, ExplicitAndImplicitHitsHavePricesOfTheirOwn) {
  Rig rig(kHead +
          "miss = '2'\nhit_ratio = '0.2'\nexplicit_hit_ratio = '0.1'\noutput = '6'\n"
          "minimum_prefix = 256\nexplicit_minimum_prefix = 1024\n");
  Billable request = prompt(2000, 1000);
  const Charge implicit_charge = rig.charge(request);
  EXPECT_EQ(count(implicit_charge, TokenKind::kHit), 1000u);
  EXPECT_EQ(count(implicit_charge, TokenKind::kExplicitHit), 0u);
  EXPECT_EQ(rig.price(implicit_charge, TokenKind::kHit), "0.4");
  request.explicit_hit = true;
  EXPECT_EQ(count(rig.charge(request), TokenKind::kExplicitHit), 0u);
  request.hit_tokens = 1024;
  request.missed_tokens = 976;
  const Charge explicit_charge = rig.charge(request);
  EXPECT_EQ(count(explicit_charge, TokenKind::kExplicitHit), 1024u);
  EXPECT_EQ(count(explicit_charge, TokenKind::kHit), 0u);
  EXPECT_EQ(rig.price(explicit_charge, TokenKind::kExplicitHit), "0.2");
}

TEST(Pricer, HitsBelowTheMinimumOrBetweenStepsAreMisses) {
  Rig rig(kHead + kRates + "minimum_prefix = 1024\nprefix_step = 128\n");
  EXPECT_EQ(count(rig.charge(prompt(4000, 1023)), TokenKind::kHit), 0u);
  EXPECT_EQ(count(rig.charge(prompt(4000, 1023)), TokenKind::kMiss), 4000u);
  EXPECT_EQ(count(rig.charge(prompt(4000, 1024)), TokenKind::kHit), 1024u);
  EXPECT_EQ(count(rig.charge(prompt(4000, 1151)), TokenKind::kHit), 1024u);
  EXPECT_EQ(count(rig.charge(prompt(4000, 1152)), TokenKind::kHit), 1152u);
}

TEST(Pricer, APromptBelowTheMinimumIsNotWritten) {
  Rig rig(kHead + kRates + "minimum_prefix = 1024\nwrite = {5m = '5'}\ndefault_ttl = '5m'\n");
  Billable request = prompt(1023);
  request.written_tokens = 1023;
  EXPECT_EQ(count(rig.charge(request), TokenKind::kWrite), 0u);
  request = prompt(1024);
  request.written_tokens = 1024;
  EXPECT_EQ(count(rig.charge(request), TokenKind::kWrite), 1024u);
}

TEST(Pricer, ATierMultipliesEveryPrice) {
  Rig rig(kHead + kRates +
          "write = {5m = '5'}\ndefault_ttl = '5m'\ntiers = {batch = '0.5', fast = '2'}\n");
  Billable request = prompt(1);
  request.service_tier = "batch";
  const Charge batch = rig.charge(request);
  EXPECT_EQ(rig.price(batch, TokenKind::kMiss), "2");
  EXPECT_EQ(rig.price(batch, TokenKind::kHit), "0.5");
  EXPECT_EQ(rig.price(batch, TokenKind::kWrite), "2.5");
  EXPECT_EQ(rig.price(batch, TokenKind::kOutput), "4");
  request.service_tier = "fast";
  EXPECT_EQ(rig.price(rig.charge(request), TokenKind::kMiss), "8");
  request.service_tier = "standard";
  EXPECT_EQ(rig.price(rig.charge(request), TokenKind::kMiss), "4");
  request.service_tier = "ultrafast";
  EXPECT_EQ(rig.charge(request).unpriced, Unpriced::kNoTier);
}

TEST(Pricer, BandTierAndTtlAreFoundTogether) {
  Rig rig(
      kHead +
      "default_ttl = '5m'\ntiers = {batch = '0.5'}\n"
      "bands = [{up_to = 10, miss = '1', hit = '1', output = '1', write = {5m = '2', 1h = '3'}},\n"
      "{above = 10, miss = '10', hit = '10', output = '10', write = {5m = '20', 1h = '30'}}]\n");
  const auto write = [&](uint64_t tokens, std::string_view tier, std::string_view ttl) {
    Billable request = prompt(tokens);
    request.written_tokens = 1;
    request.service_tier = tier;
    request.retention = ttl;
    return rig.price(rig.charge(request), TokenKind::kWrite);
  };
  EXPECT_EQ(write(10, "", ""), "2");
  EXPECT_EQ(write(10, "", "1h"), "3");
  EXPECT_EQ(write(10, "batch", "5m"), "1");
  EXPECT_EQ(write(10, "batch", "1h"), "1.5");
  EXPECT_EQ(write(11, "", "5m"), "20");
  EXPECT_EQ(write(11, "", "1h"), "30");
  EXPECT_EQ(write(11, "batch", "5m"), "10");
  EXPECT_EQ(write(11, "batch", "1h"), "15");
}

TEST(Pricer, AnAliasIsReroutedAtItsInstant) {
  Rig rig(kHead + kRates +
          "until = 2026-09-09T16:00:00Z\n[[price]]\nmodel = 'n'\ncurrency = 'USD'\n"
          "from = 2026-09-09T16:00:00Z\nmiss = '7'\nhit = '1'\noutput = '1'\n"
          "[[alias]]\nname = 'm'\nmodel = 'n'\nfrom = 2026-09-09T16:00:00Z\n"
          "[[alias]]\nname = 'chat'\nmodel = 'm'\nfrom = 2026-02-01T00:00:00Z\n");
  for (const std::string_view name : {"m", "chat"}) {
    Billable request = prompt(1);
    request.model = name;
    EXPECT_EQ(rig.price(rig.charge(request, "2026-09-09T15:59:59Z"), TokenKind::kMiss), "4");
    EXPECT_EQ(rig.price(rig.charge(request, "2026-09-09T16:00:00Z"), TokenKind::kMiss), "7");
  }
  Billable early = prompt(1);
  early.model = "chat";
  EXPECT_EQ(rig.charge(early, "2026-01-31T00:00:00Z").unpriced, Unpriced::kNoPriceThen);
  early.model = "nobody";
  EXPECT_EQ(rig.charge(early).unpriced, Unpriced::kNoModel);
}

TEST(Pricer, CurrenciesAreListsOfTheirOwn) {
  Rig rig(kHead + kRates +
          "[[price]]\nmodel = 'm'\ncurrency = 'CNY'\n"
          "from = 2026-03-01T00:00:00Z\nmiss = '30'\nhit = '3'\noutput = '60'\n");
  ASSERT_EQ(rig.pricer.currencies(), (std::vector<std::string>{"CNY", "USD"}));
  EXPECT_EQ(rig.price(rig.charge(prompt(1), "2026-06-01T00:00:00Z", 0), TokenKind::kMiss), "30");
  EXPECT_EQ(rig.price(rig.charge(prompt(1), "2026-06-01T00:00:00Z", 1), TokenKind::kMiss), "4");
  EXPECT_EQ(rig.charge(prompt(1), "2026-02-01T00:00:00Z", 0).unpriced, Unpriced::kNoCurrency);
}

std::string extra_amount(const Rig& rig, size_t index) {
  const ExtraCharge& charge = rig.pricer.extras()[index];
  const PriceExtra& extra = rig.pricer.extra(charge.extra);
  return Sum::product(extra.price, charge.quantity, extra.divisor).value().rounded(9).text();
}

TEST(Pricer, ItemsAreChargedByTheCall) {
  Rig rig(kHead + kRates +
          "[[item]]\nname = 'search'\ncurrency = 'USD'\nprice = '5'\nper = 1000\n"
          "from = 2026-11-01T00:00:00Z\n"
          "[[item]]\nname = 'search'\nmodel = 'm'\ncurrency = 'USD'\nprice = '7'\n"
          "per = 1000\nfrom = 2026-12-01T00:00:00Z\n");
  const std::array<ItemCount, 2> items = {ItemCount{"search", 3}, ItemCount{"browse", 0}};
  Billable request{
      .instant_us = parse_instant("2026-11-01T00:00:00Z").value(), .model = "m", .items = items};
  ASSERT_EQ(rig.pricer.extras_of(request, 0), Unpriced::kNot);
  ASSERT_EQ(rig.pricer.extras().size(), 1u);
  EXPECT_EQ(extra_amount(rig, 0), "0.015");
  request.instant_us -= 1;
  EXPECT_EQ(rig.pricer.extras_of(request, 0), Unpriced::kNoItem);
  request.instant_us = parse_instant("2026-12-01T00:00:00Z").value();
  ASSERT_EQ(rig.pricer.extras_of(request, 0), Unpriced::kNot);
  EXPECT_EQ(extra_amount(rig, 0), "0.021");
}

const std::string kStorage =
    "[[storage]]\ncurrency = 'USD'\nprice = '4.50'\n"
    "from = 2026-01-01T00:00:00Z\n";

StoredBillable two_hours() {
  return {.begin_us = parse_instant("2026-06-01T00:00:00Z").value(),
          .end_us = parse_instant("2026-06-01T01:30:00Z").value(),
          .model = "m",
          .token_seconds = 2'000'000ull * 3600,
          .byte_seconds = (uint64_t{1} << 40) * 1800,
          .most_tokens = 3'000'000};
}

TEST(Pricer, StorageIsChargedAsLongAsItLived) {
  Rig rig(kHead + kRates + kStorage + "per = 'million_token_hours'\ncharged = 'lived'\n");
  ASSERT_EQ(rig.pricer.extras_of(two_hours(), 0), Unpriced::kNot);
  EXPECT_EQ(extra_amount(rig, 0), "9");
}

TEST(Pricer, StorageOfAModelTakesThePlaceOfThatOfEveryModel) {
  const std::string lived = "per = 'million_token_hours'\ncharged = 'lived'\n";
  Rig rig(kHead + kRates + kStorage + lived +
          "[[storage]]\nmodel = 'm'\ncurrency = 'USD'\nprice = '1'\n"
          "from = 2026-06-01T00:00:00Z\n" +
          lived);
  ASSERT_EQ(rig.pricer.extras_of(two_hours(), 0), Unpriced::kNot);
  ASSERT_EQ(rig.pricer.extras().size(), 1u);
  EXPECT_EQ(extra_amount(rig, 0), "2");
  StoredBillable other = two_hours();
  other.model = "another";
  ASSERT_EQ(rig.pricer.extras_of(other, 0), Unpriced::kNot);
  EXPECT_EQ(extra_amount(rig, 0), "9");
}

TEST(Pricer, StorageIsChargedByTheTiBHour) {
  Rig rig(kHead + kRates + kStorage + "per = 'tib_hours'\ncharged = 'lived'\n");
  ASSERT_EQ(rig.pricer.extras_of(two_hours(), 0), Unpriced::kNot);
  EXPECT_EQ(extra_amount(rig, 0), "2.25");
}

TEST(Pricer, StorageIsChargedByTheMostOfEachHour) {
  Rig rig(kHead + kRates + kStorage + "per = 'million_token_hours'\ncharged = 'hourly_maximum'\n");
  ASSERT_EQ(rig.pricer.extras_of(two_hours(), 0), Unpriced::kNot);
  EXPECT_EQ(extra_amount(rig, 0), "27");
}

TEST(Pricer, StorageIsChargedByTheTtlThatWasSetAndNotByTheLifeLived) {
  Rig rig(kHead + kRates + kStorage + "per = 'million_token_hours'\ncharged = 'ttl_set'\n");
  EXPECT_EQ(rig.pricer.extras_of(two_hours(), 0), Unpriced::kNoPriceThen);
  Billable request = prompt(1'000'000);
  request.instant_us = parse_instant("2026-06-01T00:00:00Z").value();
  request.model = "m";
  request.written_tokens = 500'000;
  EXPECT_EQ(rig.pricer.extras_of(request, 0), Unpriced::kNot);
  EXPECT_TRUE(rig.pricer.extras().empty());
  for (const auto& [ttl, amount] : std::initializer_list<std::pair<const char*, const char*>>{
           {"1h", "2.25"}, {"30m", "1.125"}, {"7d", "378"}, {"90s", "0.05625"}}) {
    request.retention = ttl;
    ASSERT_EQ(rig.pricer.extras_of(request, 0), Unpriced::kNot) << ttl;
    EXPECT_EQ(extra_amount(rig, 0), amount) << ttl;
  }
  request.retention = "long";
  EXPECT_EQ(rig.pricer.extras_of(request, 0), Unpriced::kNoTtl);
}

TEST(Pricer, ADayWithoutACalendarHasNoPriceWhereItMatters) {
  Rig rig(
      "vendor = 'v'\n[[schedule]]\nname = 's'\nzone = 'Asia/Shanghai'\notherwise = 'low'\n"
      "classes = [{name = 'high', days = ['mon'], times = ['09:00-12:00']}]\n"
      "calendars = ['calendars/cn_2026.toml']\nholidays = 'low'\nworking_weekends = 'low'\n"
      "[[price]]\nmodel = 'm'\ncurrency = 'USD'\nfrom = 2026-01-01T00:00:00Z\nschedule = 's'\n"
      "[price.class]\nlow = {miss = '1', hit = '1', output = '1'}\n"
      "high = {miss = '2', hit = '2', output = '2'}\n");
  EXPECT_EQ(rig.charge(prompt(1), "2027-01-04T10:00:00+08:00").unpriced, Unpriced::kNoCalendar);
  EXPECT_EQ(rig.price(rig.charge(prompt(1), "2027-01-05T10:00:00+08:00"), TokenKind::kMiss), "1");
}

TEST(Pricer, ARuleTextSaysWhatWasChosen) {
  Rig rig(kHead +
          "tiers = {batch = '0.5'}\n"
          "bands = [{up_to = 10, miss = '1', hit = '1', output = '1'},\n"
          "{above = 10, miss = '10', hit = '10', output = '10'}]\n");
  Billable request = prompt(11);
  request.service_tier = "batch";
  EXPECT_EQ(rig.pricer.rule_text(rig.pricer.cell(rig.charge(request).cell)),
            "m from 2026-01-01T00:00:00Z, above 10 tokens, batch x0.5");
}

TEST(Pricer, TheFinestPriceRatioAndTierAreExact) {
  Rig rig(kHead +
          "miss = '0.000001'\nhit_ratio = '0.000001'\noutput = '1'\n"
          "tiers = {odd = '0.000001'}\n");
  Billable request = prompt(1);
  request.service_tier = "odd";
  EXPECT_EQ(rig.price(rig.charge(request), TokenKind::kHit), "0.000000000000000001");
}

TEST(Pricer, AUnitPriceThatIsTooLargeNamesItsLine) {
  const PriceBook book = PriceBook::parse(kHead +
                                              "miss = '80000000000000'\nhit = '1'\noutput = '1'\n"
                                              "tiers = {odd = '1000001'}\n",
                                          kPath)
                             .value();
  const auto pricer = Pricer::create(book);
  ASSERT_FALSE(pricer.ok());
  EXPECT_NE(pricer.error().text.find("book.toml:2: "), std::string::npos) << pricer.error().text;
}

}  // namespace
}  // namespace quire::prices::pricer_test
