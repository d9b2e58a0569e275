#include "client/quirectl/meter/quote_command.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "client/quirectl/command_line.h"
#include "client/quirectl/layout_command.h"
#include "client/quirectl/meter/bill_output.h"

namespace quire::client::quote_command_test {
namespace {

using Words = std::vector<std::string>;

const std::string kBooks = QUIRE_SOURCE_DIR "/configs/prices/";

struct Ran {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// `quirectl BEFORE meter quote WORDS`.
Ran quote(const Words& words, Words before = {}) {
  ::unsetenv("QUIRECTL_OUTPUT");
  before.insert(before.begin(), "quirectl");
  before.insert(before.end(), {"meter", "quote"});
  before.insert(before.end(), words.begin(), words.end());
  std::vector<const char*> pointers;
  for (const std::string& word : before) pointers.push_back(word.c_str());
  std::ostringstream out, err;
  const int code =
      run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err);
  return {code, out.str(), err.str()};
}

Words joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

Words flash_at(const std::string& instant) {
  return {"--book",   kBooks + "deepseek.toml",
          "--model",  "deepseek-flash",
          "--at",     instant,
          "--prompt", "100000",
          "--hit",    "99000"};
}

TEST(QuoteCommand, TheTableHasALineARuleAndATotal) {
  const Ran ran = quote(
      joined(flash_at("2026-09-15T09:00:00+08:00"), {"--output", "1200", "--currency", "CNY"}));
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.err;
  EXPECT_EQ(ran.out,
            "DeepSeek, " + kBooks +
                "deepseek.toml\n"
                "  hit     99000 tokens  0.04 / 1M tokens  CNY 0.00396  deepseek-flash from "
                "2026-09-09T16:00:00Z, peak (line 416)\n"
                "  miss     1000 tokens     2 / 1M tokens  CNY   0.002  deepseek-flash from "
                "2026-09-09T16:00:00Z, peak (line 416)\n"
                "  output   1200 tokens     8 / 1M tokens  CNY  0.0096  deepseek-flash from "
                "2026-09-09T16:00:00Z, peak (line 416)\n"
                "total CNY 0.015560 for 1 request; all missed: 0.209600, saved: 0.194040\n");
}

TEST(QuoteCommand, OffPeakCostsHalf) {
  const Ran ran = quote(
      joined(flash_at("2026-09-15T08:59:59+08:00"), {"--output", "1200", "--currency", "CNY"}));
  EXPECT_NE(ran.out.find("total CNY 0.007780"), std::string::npos) << ran.out;
}

TEST(QuoteCommand, JsonIsTakenOnBothSides) {
  const Words words = joined(flash_at("2026-09-15T09:00:00+08:00"), {"--currency", "USD"});
  const Ran before = quote(words, {"-o", "json"});
  const Ran behind = quote(joined(words, {"-o", "json"}));
  EXPECT_EQ(before.exit_code, kExitOk) << before.err;
  EXPECT_EQ(before.out, behind.out);
  EXPECT_NE(before.out.find(R"("amount":"0.000894","amount_exact":"0.000894",)"
                            R"("all_miss":"0.030000","all_miss_exact":"0.03","saved":"0.029106")"),
            std::string::npos)
      << before.out;
  EXPECT_EQ(quote(words, {"-o", "toml"}).exit_code, kExitUsage);
}

TEST(QuoteCommand, WritesTiersItemsAndExplicitHitsAreTaken) {
  const Ran ran = quote({"--book", kBooks + "anthropic.toml", "--model", "claude-opus-5-5", "--at",
                         "2026-11-30T00:00:00Z", "--prompt", "3000000", "--hit", "1000000",
                         "--written", "1000000", "--retention", "1h", "--tier", "fast"});
  EXPECT_NE(ran.out.find("write 1h"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("total USD 24.400000"), std::string::npos) << ran.out;
  const Ran searched = quote(
      joined(flash_at("2026-11-30T20:00:00+08:00"), {"--item", "search=3", "--currency", "CNY"}));
  EXPECT_NE(searched.out.find("total CNY 0.017980"), std::string::npos) << searched.out;
  const Ran marked =
      quote({"--book", kBooks + "alibaba.toml", "--model", "qwen3.8-max", "--at",
             "2026-11-30T00:00:00Z", "--prompt", "1000000", "--hit", "1000000", "--explicit"});
  EXPECT_NE(marked.out.find("total USD 0.200000"), std::string::npos) << marked.out;
}

TEST(QuoteCommand, ReplayedTokensAreMisses) {
  const Ran ran = quote(
      joined(flash_at("2026-11-30T20:00:00+08:00"), {"--replayed", "128", "--currency", "CNY"}));
  EXPECT_NE(ran.out.find("miss   1000 tokens"), std::string::npos) << ran.out;
}

TEST(QuoteCommand, WhatHasNoPriceSaysWhyAndFails) {
  const Ran ran = quote(flash_at("2027-01-04T09:00:00+08:00"));
  EXPECT_EQ(ran.exit_code, kExitFailed);
  EXPECT_NE(ran.out.find("no price for 1 request of deepseek-flash: the calendars"),
            std::string::npos)
      << ran.out;
}

TEST(QuoteCommand, OptionsThatNoRequestCouldHaveAreUsage) {
  const Words fine = flash_at("2026-09-15T09:00:00+08:00");
  EXPECT_EQ(quote(flash_at("2026-09-15T09:00:00")).exit_code, kExitUsage);
  EXPECT_EQ(quote(joined(fine, {"--replayed", "1001"})).exit_code, kExitUsage);
  EXPECT_EQ(quote(joined(fine, {"--item", "search"})).exit_code, kExitUsage);
  EXPECT_EQ(quote(joined(fine, {"--item", "search=x"})).exit_code, kExitUsage);
  for (const char* number : {"-1", "+1", "1.5", "18446744073709551616", ""}) {
    EXPECT_EQ(quote(joined(fine, {"--output", number})).exit_code, kExitUsage) << number;
  }
  EXPECT_EQ(quote({"--model", "m"}).exit_code, kExitUsage);
  EXPECT_EQ(quote(joined(fine, {"--currency", "EUR"})).exit_code, kExitUsage);
}

TEST(QuoteCommand, AMissingBookIsAFailure) {
  const Ran ran = quote(
      {"--book", "/nowhere.toml", "--model", "m", "--at", "2026-09-15T09:00:00Z", "--prompt", "1"});
  EXPECT_EQ(ran.exit_code, kExitNotFound);
  EXPECT_NE(ran.err.find("no such file"), std::string::npos) << ran.err;
}

// A bill of two tenants, one of which has no name.
prices::Bill split_bill(const prices::PriceBook& book) {
  prices::BillMaker maker =
      prices::BillMaker::create(book, {.by_tenant = true, .by_day = true}).value();
  for (const char* tenant : {"", "a\nb", "a\nb"}) {
    EXPECT_TRUE(maker
                    .add(prices::Billable{.instant_us = 1'790'000'000'000'000,
                                          .model = "m",
                                          .tenant = tenant,
                                          .prompt_tokens = 10,
                                          .missed_tokens = 10})
                    .ok());
  }
  EXPECT_TRUE(maker.add(prices::Billable{.model = "x\x1b"}).ok());
  return maker.bill().value();
}

const prices::PriceBook& small_book() {
  static const prices::PriceBook book =
      prices::PriceBook::parse(
          "vendor = 'v'\n[[price]]\nmodel = 'm'\ncurrency = 'USD'\n"
          "from = 2026-01-01T00:00:00Z\nmiss = '1'\nhit = '0'\noutput = '0'\n",
          "book.toml")
          .value();
  return book;
}

TEST(BillOutput, EachPartOfASplitBillHasAHeaderAndASubtotal) {
  EXPECT_EQ(bill_table(split_bill(small_book())).value(),
            "v, book.toml\n"
            "day 2026-09-21, tenant (none)\n"
            "  miss  10 tokens  1 / 1M tokens  USD 0.00001  m from 2026-01-01T00:00:00Z (line 2)\n"
            "  = USD 0.000010 for 1 request; all missed: 0.000010, saved: 0.000000\n"
            "day 2026-09-21, tenant a\\nb\n"
            "  miss  20 tokens  1 / 1M tokens  USD 0.00002  m from 2026-01-01T00:00:00Z (line 2)\n"
            "  = USD 0.000020 for 2 requests; all missed: 0.000020, saved: 0.000000\n"
            "total USD 0.000030 for 3 requests; all missed: 0.000030, saved: 0.000000\n"
            "no price for 1 request of x\\x1b: the book has no such model; add a [[price]] or an "
            "[[alias]]\n");
}

TEST(BillOutput, JsonNamesWhatTheBillIsSplitBy) {
  const std::string text = bill_json(split_bill(small_book())).value();
  EXPECT_NE(text.find(R"("subtotals":[{"day":"2026-09-21","tenant":"","currency":"USD",)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("unpriced":[{"model":"x\u001b",)"), std::string::npos) << text;
}

}  // namespace
}  // namespace quire::client::quote_command_test
