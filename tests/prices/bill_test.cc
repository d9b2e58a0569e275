#include "model/prices/bill.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <random>

#include "model/prices/instant.h"

namespace quire::prices::bill_test {
namespace {

using model::Errc;

const std::string kBook = R"(vendor = "v"
digits = {CNY = 2}
[[schedule]]
name = "s"
zone = "Asia/Shanghai"
otherwise = "low"
classes = [{name = "high", days = ["mon", "tue", "wed", "thu", "fri"], times = ["09:00-12:00"]}]
[[price]]
model = "m"
currency = "USD"
from = 2026-01-01T00:00:00Z
schedule = "s"
default_ttl = "5m"
tiers = {batch = "0.5"}
[price.class]
low = {miss = "4", hit = "0.4", output = "20", write = {5m = "5", 1h = "8"}}
high = {miss = "8", hit = "0.8", output = "40", write = {5m = "10", 1h = "16"}}
[[price]]
model = "m"
currency = "CNY"
from = 2026-03-01T00:00:00Z
miss = "30"
hit = "3"
output = "150"
[[price]]
model = "n"
currency = "USD"
from = 2026-01-01T00:00:00Z
miss = "0.000001"
hit = "0.000001"
output = "0"
[[item]]
name = "search"
currency = "USD"
price = "5"
per = 1000
from = 2026-01-01T00:00:00Z
[[storage]]
currency = "USD"
price = "1"
per = "million_token_hours"
charged = "lived"
from = 2026-01-01T00:00:00Z
)";

const PriceBook& book() {
  static const PriceBook read = PriceBook::parse(kBook, "book.toml").value();
  return read;
}

BillOptions in_dollars() { return {.currency = "USD"}; }

Billable request_at(std::string_view instant, uint64_t hit, uint64_t missed, uint64_t output = 0) {
  return {.instant_us = parse_instant(instant).value(),
          .model = "m",
          .tenant = "acme",
          .namespace_name = "prod",
          .prompt_tokens = hit + missed,
          .hit_tokens = hit,
          .missed_tokens = missed,
          .output_tokens = output};
}

constexpr std::string_view kEvening = "2026-09-15T20:00:00+08:00";
constexpr std::string_view kMorning = "2026-09-15T10:00:00+08:00";

Bill bill_of(const std::vector<Billable>& requests, const BillOptions& options = in_dollars()) {
  BillMaker maker = BillMaker::create(book(), options).value();
  for (const Billable& request : requests) EXPECT_TRUE(maker.add(request).ok());
  return maker.bill().value();
}

std::string text_of(const Sum& sum) { return sum.rounded(Decimal::kDigits).text(); }

// "kind quantity price amount", by line.
std::vector<std::string> lines_of(const Bill& bill) {
  std::vector<std::string> lines;
  for (const BillLine& line : bill.lines) {
    lines.push_back(line.kind + " " + whole_text(line.quantity) + " " + line.price.text() + " " +
                    text_of(line.amount));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(Bill, ALineIsARuleWithItsTokensAndItsPlaceInTheBook) {
  const Bill bill =
      bill_of({request_at(kEvening, 900'000, 100'000, 50'000),
               request_at(kEvening, 100'000, 0, 50'000), request_at(kMorning, 0, 1'000'000)});
  EXPECT_EQ(lines_of(bill), (Lines{"hit 1000000 0.4 0.4", "miss 100000 4 0.4", "output 100000 20 2",
                                   "miss 1000000 8 8"}));
  EXPECT_EQ(bill.lines[0].rule, "m from 2026-01-01T00:00:00Z, low");
  EXPECT_EQ(bill.lines[0].book_line, 16u);
  EXPECT_EQ(bill.lines[3].rule, "m from 2026-01-01T00:00:00Z, high");
  EXPECT_EQ(bill.lines[3].book_line, 17u);
  EXPECT_EQ(bill.vendor, "v");
  EXPECT_EQ(bill.book, "book.toml");
}

TEST(Bill, TotalsHaveWhatAllMissesWouldHaveCost) {
  const Bill bill = bill_of({request_at(kEvening, 900'000, 100'000, 50'000)});
  ASSERT_EQ(bill.totals.size(), 1u);
  const BillTotal& total = bill.totals[0];
  EXPECT_EQ(total.currency, "USD");
  EXPECT_EQ(total.requests, 1u);
  EXPECT_EQ(total.rounded().fixed(total.digits), "1.760000");
  EXPECT_EQ(total.rounded_all_miss().fixed(total.digits), "5.000000");
  EXPECT_EQ(total.saved().value().fixed(total.digits), "3.240000");
  EXPECT_TRUE(bill.subtotals.empty());
}

TEST(Bill, WritingThatNobodyReadsCostsMoreThanMissing) {
  Billable request = request_at(kEvening, 0, 1'000'000);
  request.written_tokens = 1'000'000;
  request.retention = "1h";
  const Bill bill = bill_of({request});
  EXPECT_EQ(lines_of(bill), Lines{"write 1h 1000000 8 8"});
  EXPECT_EQ(bill.totals[0].saved().value().text(), "-4");
}

TEST(Bill, TtlsOfWritesShareTheOtherLines) {
  Billable short_one = request_at(kEvening, 10, 100, 1);
  short_one.written_tokens = 60;
  Billable long_one = short_one;
  long_one.retention = "1h";
  const Bill bill = bill_of({short_one, long_one});
  EXPECT_EQ(lines_of(bill),
            (Lines{"hit 20 0.4 0.000008", "miss 80 4 0.00032", "write 1h 60 8 0.00048",
                   "write 5m 60 5 0.0003", "output 2 20 0.00004"}));
}

TEST(Bill, ItIsRoundedOnceAtItsEnd) {
  // Each request costs 4e-7: none of them would reach the sixth digit by itself.
  std::vector<Billable> requests(3, request_at(kEvening, 1, 0));
  EXPECT_EQ(bill_of(requests).totals[0].rounded().fixed(6), "0.000001");
  // 1e-12 a token: half a millionth of a dollar is even, and one token more is not.
  Billable grain = request_at(kEvening, 0, 500'000);
  grain.model = "n";
  EXPECT_EQ(bill_of({grain}).totals[0].rounded().fixed(6), "0.000000");
  grain.prompt_tokens = grain.missed_tokens = 500'001;
  EXPECT_EQ(bill_of({grain}).totals[0].rounded().fixed(6), "0.000001");
}

TEST(Bill, EachCurrencyIsABillByItsOwnList) {
  const Bill bill = bill_of({request_at(kEvening, 0, 1'000'000)}, {});
  ASSERT_EQ(bill.totals.size(), 2u);
  EXPECT_EQ(bill.totals[0].currency, "CNY");
  EXPECT_EQ(bill.totals[0].rounded().fixed(bill.totals[0].digits), "30.00");
  EXPECT_EQ(bill.totals[1].currency, "USD");
  EXPECT_EQ(bill.totals[1].rounded().fixed(bill.totals[1].digits), "4.000000");
}

TEST(Bill, AListThatHasNoPriceYetLeavesTheOthers) {
  const Bill bill = bill_of({request_at("2026-02-01T00:00:00Z", 0, 1'000'000)}, {});
  ASSERT_EQ(bill.totals.size(), 1u);
  EXPECT_EQ(bill.totals[0].currency, "USD");
  EXPECT_TRUE(bill.unpriced.empty());
}

TEST(Bill, WhatHasNoPriceIsListedAndNotBilled) {
  Billable unknown = request_at(kEvening, 0, 10);
  unknown.model = "nobody";
  Billable untimely = request_at("2025-12-31T00:00:00Z", 0, 10);
  const std::array<ItemCount, 1> items = {ItemCount{"browse", 1}};
  Billable with_item = request_at(kEvening, 0, 10);
  with_item.items = items;
  const Bill bill = bill_of({unknown, untimely, unknown, with_item});
  EXPECT_TRUE(bill.lines.empty());
  EXPECT_TRUE(bill.totals.empty());
  ASSERT_EQ(bill.unpriced.size(), 3u);
  EXPECT_EQ(bill.unpriced[0].model, "m");
  EXPECT_EQ(bill.unpriced[0].reason, Unpriced::kNoPriceThen);
  EXPECT_EQ(bill.unpriced[1].reason, Unpriced::kNoItem);
  EXPECT_EQ(bill.unpriced[2].model, "nobody");
  EXPECT_EQ(bill.unpriced[2].requests, 2u);
}

TEST(Bill, ItemsCostTheSameWithoutACacheAndStorageDoesNot) {
  const std::array<ItemCount, 1> items = {ItemCount{"search", 2}};
  Billable request = request_at(kEvening, 0, 0);
  request.items = items;
  BillMaker maker = BillMaker::create(book(), in_dollars()).value();
  ASSERT_TRUE(maker.add(request).ok());
  ASSERT_TRUE(maker
                  .add(StoredBillable{.begin_us = request.instant_us,
                                      .end_us = request.instant_us + 1,
                                      .model = "m",
                                      .token_seconds = 3'600'000'000})
                  .ok());
  const Bill bill = maker.bill().value();
  EXPECT_EQ(lines_of(bill), (Lines{"search 2 0.005 0.01", "storage 3600000000 1 1"}));
  EXPECT_EQ(bill.lines[1].unit, "token seconds");
  EXPECT_EQ(bill.lines[1].price_of, "1M token hours");
  EXPECT_EQ(bill.totals[0].rounded().text(), "1.01");
  EXPECT_EQ(bill.totals[0].rounded_all_miss().text(), "0.01");
}

TEST(Bill, SecondsOfStorageAddUpToTheHourExactly) {
  BillMaker maker = BillMaker::create(book(), in_dollars()).value();
  for (int i = 0; i < 3600; ++i) {
    ASSERT_TRUE(maker
                    .add(StoredBillable{.begin_us = request_at(kEvening, 0, 0).instant_us,
                                        .model = "m",
                                        .token_seconds = 1})
                    .ok());
  }
  EXPECT_EQ(text_of(maker.bill().value().totals[0].amount), "0.000001");
}

TEST(Bill, AnHourThatIsNoneOfTheBooksIsFree) {
  BillMaker maker = BillMaker::create(book(), {.currency = "CNY"}).value();
  ASSERT_TRUE(maker.add(StoredBillable{.model = "m", .token_seconds = 1}).ok());
  EXPECT_TRUE(maker.bill().value().lines.empty());
}

TEST(Bill, DaysAreThoseOfTheZone) {
  // Midnight of Beijing lies in UTC's afternoon.
  const std::vector<Billable> requests = {
      request_at("2026-09-15T15:59:59Z", 0, 1), request_at("2026-09-15T16:00:00Z", 0, 2),
      request_at("2026-09-15T23:59:59Z", 0, 4), request_at("2026-09-16T00:00:00Z", 0, 8)};
  const auto days = [&](const char* zone) {
    std::vector<std::string> lines;
    BillOptions options = in_dollars();
    options.by_day = true;
    options.day_zone = zone;
    for (const BillLine& line : bill_of(requests, options).lines) {
      lines.push_back(date_text(*line.group.day) + " " + whole_text(line.quantity));
    }
    return lines;
  };
  EXPECT_EQ(days("Asia/Shanghai"), (Lines{"2026-09-15 1", "2026-09-16 14"}));
  EXPECT_EQ(days("UTC"), (Lines{"2026-09-15 7", "2026-09-16 8"}));
}

TEST(Bill, ItIsSplitByWhatIsAskedFor) {
  Billable other = request_at(kEvening, 0, 1'000'000);
  other.tenant = "other";
  other.namespace_name = "test";
  const std::vector<Billable> requests = {request_at(kEvening, 0, 1'000'000), other, other};
  BillOptions by_tenant = in_dollars();
  by_tenant.by_tenant = true;
  const Bill bill = bill_of(requests, by_tenant);
  ASSERT_EQ(bill.subtotals.size(), 2u);
  EXPECT_EQ(bill.subtotals[0].group.tenant, "acme");
  EXPECT_EQ(bill.subtotals[0].group.namespace_name, "");
  EXPECT_EQ(text_of(bill.subtotals[0].amount), "4");
  EXPECT_EQ(text_of(bill.subtotals[1].amount), "8");
  EXPECT_EQ(text_of(bill.totals[0].amount), "12");
  BillOptions by_both = in_dollars();
  by_both.by_namespace = by_both.by_model = true;
  EXPECT_EQ(bill_of(requests, by_both).subtotals[1].group,
            (BillGroup{.namespace_name = "test", .model = "m"}));
}

TEST(Bill, ATierIsALineOfItsOwn) {
  Billable batch = request_at(kEvening, 0, 1'000'000);
  batch.service_tier = "batch";
  const Bill bill = bill_of({batch, request_at(kEvening, 0, 1'000'000)});
  EXPECT_EQ(lines_of(bill), (Lines{"miss 1000000 4 4", "miss 1000000 2 2"}));
  EXPECT_EQ(bill.lines[1].rule, "m from 2026-01-01T00:00:00Z, low, batch x0.5");
}

TEST(Bill, MoreGroupsThanAllowedAreRefused) {
  BillOptions options = in_dollars();
  options.by_tenant = true;
  options.max_groups = 2;
  BillMaker maker = BillMaker::create(book(), options).value();
  Billable request = request_at(kEvening, 0, 1);
  EXPECT_TRUE(maker.add(request).ok());
  request.tenant = "b";
  EXPECT_TRUE(maker.add(request).ok());
  request.tenant = "c";
  EXPECT_EQ(maker.add(request).code(), Errc::kResourceExhausted);
  request.tenant = "b";
  EXPECT_TRUE(maker.add(request).ok());
}

TEST(Bill, ASumThatDoesNotFitIsAnError) {
  BillMaker maker = BillMaker::create(book(), in_dollars()).value();
  Billable most = request_at(kEvening, 0, UINT64_MAX);
  EXPECT_TRUE(maker.add(most).ok());
  EXPECT_EQ(maker.add(request_at(kEvening, 0, 1)).code(), Errc::kInvalidArgument);
}

TEST(Bill, AnUnknownCurrencyOrZoneIsAnError) {
  EXPECT_EQ(BillMaker::create(book(), {.currency = "EUR"}).code(), Errc::kInvalidArgument);
  EXPECT_FALSE(BillMaker::create(book(), {.by_day = true, .day_zone = "Mars/Base"}).ok());
}

// Requests of two weeks around a change, of two models and three tenants.
rc::Gen<std::vector<Billable>> any_requests() {
  static constexpr std::array<std::string_view, 3> kTenants = {"a", "b", "c"};
  static constexpr std::array<std::string_view, 3> kTtls = {"", "5m", "1h"};
  return rc::gen::container<std::vector<Billable>>(rc::gen::exec([] {
    Billable request = request_at("2026-02-20T00:00:00Z", *rc::gen::inRange<uint64_t>(0, 1 << 20),
                                  *rc::gen::inRange<uint64_t>(0, 1 << 20),
                                  *rc::gen::inRange<uint64_t>(0, 1 << 16));
    request.instant_us += *rc::gen::inRange<int64_t>(0, 14ll * 86'400'000'000);
    request.model = *rc::gen::element<std::string_view>("m", "m", "m", "n", "nobody");
    request.tenant = kTenants[*rc::gen::inRange<size_t>(0, 3)];
    request.retention = kTtls[*rc::gen::inRange<size_t>(0, 3)];
    request.service_tier = *rc::gen::element<std::string_view>("", "batch");
    request.written_tokens = *rc::gen::inRange<uint64_t>(0, 1 << 20);
    return request;
  }));
}

bool same(const Bill& a, const Bill& b) {
  const auto same_line = [](const BillLine& x, const BillLine& y) {
    return x.group == y.group && x.currency == y.currency && x.kind == y.kind && x.rule == y.rule &&
           x.quantity == y.quantity && x.amount == y.amount;
  };
  const auto same_total = [](const BillTotal& x, const BillTotal& y) {
    return x.currency == y.currency && x.requests == y.requests && x.amount == y.amount &&
           x.all_miss == y.all_miss;
  };
  return std::equal(a.lines.begin(), a.lines.end(), b.lines.begin(), b.lines.end(), same_line) &&
         std::equal(a.totals.begin(), a.totals.end(), b.totals.begin(), b.totals.end(), same_total);
}

BillOptions split_by_all() {
  return {.by_model = true, .by_namespace = true, .by_tenant = true, .by_day = true};
}

TEST(Bill, TheOrderOfRequestsDoesNotMatter) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Billable> requests = *any_requests();
    std::vector<Billable> shuffled = requests;
    std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(7));
    RC_ASSERT(same(bill_of(requests, split_by_all()), bill_of(shuffled, split_by_all())));
  }));
}

TEST(Bill, LinesAndSubtotalsAddUpToTheTotalHoweverItIsSplit) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Billable> requests = *any_requests();
    const Bill whole = bill_of(requests, {});
    const Bill split = bill_of(requests, split_by_all());
    RC_ASSERT(whole.totals.size() == split.totals.size());
    for (size_t i = 0; i < whole.totals.size(); ++i) {
      Sum lines, subtotals;
      for (const BillLine& line : split.lines) {
        if (line.currency == whole.totals[i].currency) lines = lines.plus(line.amount).value();
      }
      for (const BillTotal& part : split.subtotals) {
        if (part.currency == whole.totals[i].currency) {
          subtotals = subtotals.plus(part.amount).value();
        }
      }
      RC_ASSERT(lines == whole.totals[i].amount);
      RC_ASSERT(subtotals == whole.totals[i].amount);
      RC_ASSERT(split.totals[i].all_miss == whole.totals[i].all_miss);
    }
  }));
}

}  // namespace
}  // namespace quire::prices::bill_test
