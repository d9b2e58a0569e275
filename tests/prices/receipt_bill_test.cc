// From receipts to a bill: each request once, at the instant at which it began.
#include "model/prices/receipt_bill.h"

#include <gtest/gtest.h>

#include "model/prices/price_book.h"

namespace quire::prices::receipt_bill_test {

using model::ReceiptEnd;
using model::ReceiptRecord;
using model::ReceiptText;
using model::ReceiptTexts;

namespace {

constexpr int64_t kHourUs = 3'600'000'000;
constexpr int64_t kNow = 1'790'000'000'000'000 / kHourUs * kHourUs;  // begin of an hour of 2026

PriceBook book_of(const std::string& charged) {
  return PriceBook::parse(R"(vendor = "v"
[[price]]
model = "m"
currency = "USD"
from = 2026-01-01T00:00:00Z
miss = "10"
hit = "1"
output = "20"
[[storage]]
currency = "USD"
price = "3.6"
per = "million_token_hours"
from = 2026-01-01T00:00:00Z
charged = )" + ('"' + charged + "\"\n"),
                          "book.toml")
      .value();
}

// 600 of 1,000 tokens hit: 600 x 1 + 400 x 10 micro-units, and 2,000 for the answer.
ReceiptRecord receipt(uint64_t request) {
  ReceiptRecord record;
  record.request_id = request;
  record.turn = 1;
  record.uid = 7;
  record.opened_us = kNow;
  record.closed_us = kNow + 5;
  record.prompt_tokens = 1000;
  record.resumed_tokens = record.hit_tokens = 600;
  record.missed_tokens = 400;
  record.output_tokens = 100;
  record.end = static_cast<uint8_t>(ReceiptEnd::kClosed);
  return record;
}

class ReceiptBillTest : public testing::Test {
 protected:
  void add(const ReceiptRecord& record, const ReceiptTexts& texts = {"t", "p", "m", "", "", ""}) {
    builder_.add(record, texts);
  }
  void add_storage(int64_t from_us, int64_t to_us, uint64_t tokens, size_t tier,
                   std::string_view retention = {}) {
    model::StorageRecord record;
    record.from_us = from_us;
    record.to_us = to_us;
    record.token_us = {tokens * static_cast<uint64_t>(to_us - from_us), 0};
    record.most_tokens = tokens;
    record.tier = static_cast<uint8_t>(tier);
    builder_.add(record, "p", retention);
  }
  // Of what was added so far.
  std::string total(const ReceiptBillOptions& options = {}) {
    auto bill = ReceiptBill::create(book_, options);
    EXPECT_TRUE(bill.ok());
    model::LedgerHead head;
    const std::string bytes = builder_.finish(head, 1, kNow);
    const auto block = model::LedgerBlock::parse(bytes);
    EXPECT_TRUE(bill->add(*block).ok());
    const auto written = bill->finish();
    EXPECT_TRUE(written.ok());
    counts_ = bill->counts();
    return written->totals.empty() ? "none" : written->totals[0].rounded().text();
  }
  static ReceiptRecord cut_short(uint64_t request, ReceiptEnd end = ReceiptEnd::kDaemonDied) {
    ReceiptRecord record = receipt(request);
    record.end = static_cast<uint8_t>(end);
    record.output_tokens = 0;
    return record;
  }

  PriceBook book_ = book_of("lived");
  model::BlockBuilder builder_;
  ReceiptBillCounts counts_;
};

}  // namespace

TEST_F(ReceiptBillTest, ARequestIsBilledByItsReceipt) {
  add(receipt(1));
  EXPECT_EQ(total(), "0.0066");
  EXPECT_EQ(counts_.receipts, 1u);
}

TEST_F(ReceiptBillTest, ASessionMayNameTheModelThatPricesAreListedBy) {
  add(receipt(1), {"t", "p", "our cache", "m", "", ""});
  EXPECT_EQ(total(), "0.0066");
}

TEST_F(ReceiptBillTest, ATurnThatWasCutShortIsBilledAsFarAsItCame) {
  add(cut_short(1));
  EXPECT_EQ(total(), "0.0046");
  EXPECT_EQ(counts_.cut_short, 1u);
}

TEST_F(ReceiptBillTest, OneThatWasTriedAgainIsBilledOnce) {
  for (const ReceiptEnd end : {ReceiptEnd::kDaemonDied, ReceiptEnd::kClientDied}) {
    add(cut_short(1, end));
    add(cut_short(2, end));
    add(cut_short(1, end));
    add(receipt(1));
    EXPECT_EQ(total(), "0.0112") << "request 1 once, and 2 as far as it came";
    EXPECT_EQ(counts_.tried_again, 2u);
  }
}

// Numbers begin anew with each engine: only what is alike in all of this is the same request.
TEST_F(ReceiptBillTest, AnotherRequestOfTheSameNumberIsAnother) {
  add(cut_short(1));
  ReceiptRecord longer = receipt(1);
  longer.prompt_tokens += 10;
  longer.missed_tokens += 10;
  add(longer);
  add(cut_short(2));
  add(receipt(2), {"t", "another payer", "m", "", "", ""});
  add(cut_short(3));
  ReceiptRecord of_other = receipt(3);
  of_other.uid = 8;
  add(of_other);
  total();
  EXPECT_EQ(counts_.tried_again, 0u);
  EXPECT_EQ(counts_.receipts, 6u);
}

TEST_F(ReceiptBillTest, WithoutANumberNothingIsTakenForTheSame) {
  add(cut_short(0));
  add(receipt(0));
  total();
  EXPECT_EQ(counts_.receipts, 2u);
}

TEST_F(ReceiptBillTest, WhatIsWrittenBeforeAFirstRequestIsNone) {
  ReceiptRecord record;
  record.written_tokens = 500;
  add(record);
  EXPECT_EQ(total(), "none");
}

TEST_F(ReceiptBillTest, RequestsThatBeganInTheTimeAndOfThePayerCount) {
  ReceiptRecord later = receipt(2);
  later.opened_us = kNow + 100;
  const auto fill = [&] {
    add(receipt(1));
    add(later);
    add(receipt(3), {"t", "q", "m", "", "", ""});
  };
  fill();
  EXPECT_EQ(total({.from_us = kNow, .to_us = kNow + 100}), "0.0132");
  fill();
  EXPECT_EQ(total({.from_us = kNow + 100}), "0.0066");
  fill();
  EXPECT_EQ(total({.tenant = "q"}), "0.0066");
}

// 10^6 tokens for an hour and a half: what is on two tiers counts once, and minutes add up to
// hours without losing what is less than a second.
TEST_F(ReceiptBillTest, StorageIsWhatWasHeldOnAnyTier) {
  constexpr int64_t kPartUs = kHourUs / 8 + 1;
  for (int64_t at = kNow; at < kNow + kHourUs + kHourUs / 2; at += kPartUs) {
    const int64_t end = std::min(at + kPartUs, kNow + kHourUs + kHourUs / 2);
    add_storage(at, end, 1'000'000, model::kAnyTier);
    add_storage(at, end, 1'000'000, 0);
    add_storage(at, end, 1'000'000, 1);
  }
  EXPECT_EQ(total(), "5.4");
}

// Minutes in which the one class has more are others than those of the other one.
TEST_F(ReceiptBillTest, TheMostOfAnHourIsThatOfEachRetentionClass) {
  book_ = book_of("hourly_maximum");
  add_storage(kNow, kNow + kHourUs / 2, 1'000'000, model::kAnyTier, "5m");
  add_storage(kNow, kNow + kHourUs / 2, 3'000'000, model::kAnyTier, "1h");
  add_storage(kNow + kHourUs / 2, kNow + kHourUs, 2'000'000, model::kAnyTier, "5m");
  add_storage(kNow + kHourUs / 2, kNow + kHourUs, 1'000'000, model::kAnyTier, "1h");
  EXPECT_EQ(total(), "18");
}

}  // namespace quire::prices::receipt_bill_test
