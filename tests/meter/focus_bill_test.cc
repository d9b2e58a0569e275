// Charges of a bill as rows of FOCUS: they add up to `meter bill`, to the last digit.
#include "client/quirectl/meter/focus_bill.h"

#include <algorithm>
#include <functional>
#include <map>
#include <random>

#include "client/quirectl/daemon_command.h"
#include "tests/meter/focus_file.h"
#include "tests/meter/meter_rig.h"

namespace quire::client::focus_bill_test {

using namespace quire::tests;
using prices::Int128;

namespace {

// Every shape of price that changes what of a receipt is charged, and how.
constexpr const char* kBook = R"(vendor = "v"
[[price]]
model = "deepseek-flash"
currency = "USD"
from = 2020-01-01T00:00:00Z
minimum_prefix = 64
prefix_step = 64
replayed = "hit"
tiers = {batch = "0.5"}
bands = [
  {up_to = 2000, miss = "0.435001", hit = "0.003625", explicit_hit = "0.001813", output = "0.87", write = {5m = "0.54", 1h = "1"}},
  {above = 2000, miss = "0.9", hit = "0.09", output = "1.7", write = {5m = "1.1", 1h = "2"}},
]
[[storage]]
currency = "USD"
from = 2020-01-01T00:00:00Z
price = "0.017"
per = "million_token_hours"
charged = "lived"
[[storage]]
currency = "USD"
from = 2020-01-01T00:00:00Z
price = "1.25"
per = "tib_hours"
charged = "hourly_maximum"
[[storage]]
model = "deepseek-flash"
currency = "USD"
from = 2020-01-01T00:00:00Z
price = "4.5"
per = "million_token_hours"
charged = "ttl_set"
)";

// "0.0035" in 1e-24.
Int128 units(std::string text) {
  const bool negative = text.starts_with("-");
  if (negative) text.erase(0, 1);
  const size_t point = std::min(text.find('.'), text.size());
  std::string digits = text.substr(0, point);
  std::string fraction = text.substr(std::min(point + 1, text.size()));
  EXPECT_LE(fraction.size(), 24u) << text;
  fraction.resize(24, '0');
  Int128 sum = 0;
  for (const char digit : digits + fraction) sum = sum * 10 + (digit - '0');
  return negative ? -sum : sum;
}

class FocusBillTest : public testing::Test {
 protected:
  FocusBillTest() { write_book(kBook); }
  ~FocusBillTest() override { std::filesystem::remove(book_); }
  void write_book(const std::string& text) const { std::ofstream(book_) << text; }

  void add(const std::function<void(model::ReceiptRecord&, model::ReceiptTexts&)>& change) {
    model::ReceiptRecord record = full_receipt();
    model::ReceiptTexts texts = kFullTexts;
    record.request_id = 0;
    record.flags = 0;
    change(record, texts);
    ledger_.builder().add(record, texts);
  }
  void hold(int64_t from_us, uint64_t token_us, uint64_t most_bytes) {
    model::StorageRecord record;
    record.from_us = from_us;
    record.to_us = from_us + 60'000'000;
    record.token_us = {.low = token_us, .high = 0};
    record.tier = model::kAnyTier;
    record.most_bytes = most_bytes;
    record.uid = 1000;
    ledger_.builder().add(record, "payer\\1", "5m");
  }
  void save() {
    ledger_.finish_block();
    ledger_.save();
  }
  Quirectl export_bill(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"--format", "focus", "--book", book_});
    return ledger_.run("export", arguments);
  }
  std::vector<FocusRow> rows() const { return parse_focus(export_bill().out).rows; }
  // As `meter bill` says it, without rounding: of storage there may be a fraction of 1e-24 more.
  Int128 billed() const {
    const std::string text =
        quirectl({"-o", "json", "meter", "bill", "--file", ledger_.path(), "--book", book_}).out;
    const std::string key = "\"amount_exact\":\"";
    const size_t at = text.find(key, text.find("\"totals\":")) + key.size();
    return units(text.substr(at, text.find('"', at) - at));
  }
  static Int128 sum(const std::vector<FocusRow>& rows, const std::string& column = "BilledCost") {
    Int128 all = 0;
    for (const FocusRow& row : rows) all += units(row.at(column));
    return all;
  }
  static size_t of_storage(const std::vector<FocusRow>& rows) {
    return static_cast<size_t>(std::count_if(rows.begin(), rows.end(), [](const FocusRow& row) {
      return row.at("ConsumedUnit").ends_with("-Seconds");
    }));
  }
  // Anything that a ledger may hold: of several payers, tiers, lengths, ends.
  void add_any(std::mt19937& random, int i) {
    if (i % 64 == 63) ledger_.finish_block();
    const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    add([&](model::ReceiptRecord& record, model::ReceiptTexts& texts) {
      record.opened_us = kTenOClockUs + int64_t{i} * 30'000'000 + below(1'000'000);
      record.closed_us = record.opened_us + below(5'000'000);
      record.prompt_tokens = 1 + below(4000);
      record.hit_tokens = below(record.prompt_tokens + 1);
      record.replayed_tokens = below(record.prompt_tokens - record.hit_tokens + 1);
      record.missed_tokens = record.prompt_tokens - record.hit_tokens - record.replayed_tokens;
      record.written_tokens = below(3) == 0 ? 0 : below(5000);
      record.output_tokens = below(900);
      record.flags = below(4) == 0 ? model::kReceiptExplicit : 0;
      record.turn = below(20) == 0 ? 0 : 1;
      // Many of the same request: cut short, and tried again or not.
      record.request_id = 1 + below(40);
      record.conversation = 1;
      if (below(3) == 0) record.prompt_tokens = record.missed_tokens = 777;
      if (record.prompt_tokens == 777) record.hit_tokens = record.replayed_tokens = 0;
      record.end = static_cast<uint8_t>(below(2) == 0 ? model::ReceiptEnd::kDaemonDied
                                                      : model::ReceiptEnd::kClosed);
      texts[static_cast<size_t>(model::ReceiptText::kPayer)] = below(2) == 0 ? "one" : "two";
      texts[static_cast<size_t>(model::ReceiptText::kServiceTier)] = below(3) == 0 ? "batch" : "";
      texts[static_cast<size_t>(model::ReceiptText::kRetention)] = below(2) == 0 ? "5m" : "1h";
    });
    hold(kTenOClockUs + int64_t{i} * 30'000'000, random() % 3'000'000'000'000ull, random());
  }

  const std::string book_ =
      testing::TempDir() + "quire-focus-book-" + std::to_string(::getpid()) + ".toml";
  SavedLedger ledger_;
};

}  // namespace

TEST_F(FocusBillTest, ChargesOfTokensAddUpToTheBillToTheLastDigit) {
  write_book(std::string(kBook).substr(0, std::string_view(kBook).find("[[storage]]")));
  std::mt19937 random(3);
  for (int i = 0; i < 600; ++i) add_any(random, i);
  save();
  const auto charges = rows();
  EXPECT_GT(charges.size(), 600u);
  EXPECT_EQ(of_storage(charges), 0u) << "what the book has no price for is free";
  EXPECT_TRUE(sum(charges) == billed());
  for (const char* column : {"ListCost", "EffectiveCost", "ContractedCost"}) {
    EXPECT_TRUE(sum(charges, column) == billed()) << column;
  }
}

TEST_F(FocusBillTest, ChargesOfStorageAddUpButForHalfALastDigitEach) {
  std::mt19937 random(5);
  for (int i = 0; i < 600; ++i) add_any(random, i);
  save();
  const auto charges = rows();
  EXPECT_GT(of_storage(charges), 100u);
  const Int128 difference = sum(charges) - billed();
  EXPECT_TRUE(difference <= Int128{of_storage(charges)} &&
              -difference <= Int128{of_storage(charges)})
      << static_cast<int64_t>(difference);
}

// As whoever reads the file computes it, with numbers of their own.
TEST_F(FocusBillTest, EveryCostIsItsUnitPriceTimesItsQuantity) {
  std::mt19937 random(7);
  for (int i = 0; i < 50; ++i) add_any(random, i);
  save();
  std::map<std::string, std::string> units_of;
  for (const FocusRow& row : rows()) {
    units_of[row.at("ConsumedUnit")] = row.at("PricingUnit");
    const double product =
        std::stod(row.at("ListUnitPrice")) * std::stod(row.at("PricingQuantity"));
    EXPECT_NEAR(product, std::stod(row.at("ListCost")), 1e-15) << row.at("SkuMeter");
    EXPECT_NE(row.at("x_PriceRule"), "");
  }
  EXPECT_EQ(units_of, (std::map<std::string, std::string>{{"Tokens", "1000000 Tokens"},
                                                          {"Token-Seconds", "Token-Hours"},
                                                          {"B-Seconds", "TiB-Hours"}}));
}

TEST_F(FocusBillTest, AReceiptIsChargedAsTheBookSaysAndNothingTwice) {
  add([](model::ReceiptRecord&, model::ReceiptTexts&) {});
  save();
  std::map<std::string, std::string> charged;
  for (const FocusRow& row : rows()) {
    charged[row.at("SkuId")] = row.at("ConsumedQuantity") + " x " + row.at("ListUnitPrice");
    EXPECT_EQ(row.at("x_ReceiptId"), "1.1");
  }
  // 742 hit and 128 replayed tokens are hits by whole steps of 64; written ones are no misses.
  EXPECT_EQ(charged, (std::map<std::string, std::string>{
                         {"deepseek-flash/hit_tokens", "832.0 x 0.0018125"},
                         {"deepseek-flash/missed_tokens", "32.0 x 0.2175005"},
                         {"deepseek-flash/written_tokens", "136.0 x 0.27"},
                         {"deepseek-flash/output_tokens", "77.0 x 0.435"},
                         {"deepseek-flash/token_seconds", "40800.0 x 0.0000045"}}));
}

TEST_F(FocusBillTest, WhatWasTriedAgainIsChargedOnce) {
  for (const auto end : {model::ReceiptEnd::kDaemonDied, model::ReceiptEnd::kClosed}) {
    add([&](model::ReceiptRecord& record, model::ReceiptTexts&) {
      record.request_id = 9;
      record.end = static_cast<uint8_t>(end);
    });
  }
  save();
  for (const FocusRow& row : rows()) EXPECT_EQ(row.at("x_ReceiptId"), "1.2");
}

TEST_F(FocusBillTest, WhatHasNoPriceIsUsageAloneAndTheExitCodeSaysSo) {
  add([](model::ReceiptRecord&, model::ReceiptTexts& texts) {
    texts[static_cast<size_t>(model::ReceiptText::kModel)] = "another";
  });
  save();
  const Quirectl run = export_bill();
  EXPECT_EQ(run.exit_code, kExitFailed);
  EXPECT_NE(run.err.find("no such model"), std::string::npos) << run.err;
  const auto charges = parse_focus(run.out).rows;
  EXPECT_EQ(charges.size(), 5u);
  for (const FocusRow& row : charges)
    EXPECT_EQ(row.at("BilledCost") + row.at("ListUnitPrice"), "0.0");
}

TEST_F(FocusBillTest, ABookOfSeveralCurrenciesAsksForOne) {
  const std::string yuan =
      "[[price]]\nmodel = \"deepseek-flash\"\ncurrency = \"CNY\"\nfrom = 2020-01-01T00:00:00Z\n"
      "hit = \"1\"\nmiss = \"2\"\noutput = \"3\"\ntiers = {batch = \"1\"}\n";
  std::string book = kBook;
  book.insert(book.find("[[price]]"), yuan);
  write_book(book);
  add([](model::ReceiptRecord&, model::ReceiptTexts&) {});
  save();
  const Quirectl run = export_bill();
  EXPECT_EQ(run.exit_code, kExitUsage);
  EXPECT_NE(run.err.find("CNY, USD"), std::string::npos) << run.err;
  const Quirectl chosen = export_bill({"--currency", "CNY"});
  EXPECT_EQ(chosen.exit_code, kExitOk) << chosen.err;
  for (const FocusRow& row : parse_focus(chosen.out).rows)
    EXPECT_EQ(row.at("BillingCurrency"), "CNY");
}

TEST_F(FocusBillTest, OnlyFocusHasCostsAndAPriceIsNotResumed) {
  add([](model::ReceiptRecord&, model::ReceiptTexts&) {});
  save();
  EXPECT_EQ(ledger_.run("export", {"--format", "csv", "--book", book_}).exit_code, kExitUsage);
  EXPECT_EQ(export_bill({"--after", "1.1"}).exit_code, kExitUsage);
}

}  // namespace quire::client::focus_bill_test
