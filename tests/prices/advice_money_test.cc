// Advice in money: tokens that would have hit, at the difference of a miss and a hit.
#include "client/quirectl/meter/advice_money.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace quire::client::advice_money_test {

using model::Errc;

namespace {

constexpr int64_t kNow = 1'790'000'000'000'000;

constexpr std::string_view kAdvice =
    R"({"tier":"ram","window":"1h","policy":"lru","prompt_tokens":2000000000,"hit_tokens":500000000,)"
    R"("hit_percent":25.0,"ceiling_tokens":1200000000,"ceiling_percent":60,"sample":1,"rows":[)"
    R"({"policy":"arc","size":"0%","hit_tokens":600000000,"hit_percent":30,"error_points":2,"now":false},)"
    R"({"policy":"lru","size":"0%","hit_tokens":500000000,"hit_percent":25,"error_points":1,"now":true}]})";

class AdviceMoneyTest : public testing::Test {
 protected:
  AdviceMoneyTest() {
    std::ofstream(options_.book_path) << R"(vendor = "v"
[[price]]
model = "m"
currency = "USD"
from = 2026-01-01T00:00:00Z
hit = "0.003"
miss = "0.15"
output = "1"
)";
  }
  ~AdviceMoneyTest() override { std::filesystem::remove(options_.book_path); }

  AdviceMoneyOptions options_{
      .book_path = testing::TempDir() + "quire-advice-" + std::to_string(::getpid()) + ".toml",
      .model = "m",
      .instant_us = kNow};
};

}  // namespace

// 30 % of 2,000 million tokens at 0.147 a million.
TEST_F(AdviceMoneyTest, IsWhatAHitCostsLessThanAMiss) {
  const auto money = advice_money(kAdvice, options_);
  ASSERT_TRUE(money.ok()) << money.error().text;
  EXPECT_EQ(money->saved, "73.50");
  EXPECT_EQ(money->ceiling, "176.40");
  ASSERT_EQ(money->rows.size(), 2u);
  EXPECT_EQ(money->rows[0].saved, "88.20");
  EXPECT_EQ(money_table(*money),
            "hits saved USD 73.50, an infinite cache 176.40; would save:\n"
            "arc                88.20\n"
            "lru                73.50\n");
  const std::string json = with_money(kAdvice, *money);
  EXPECT_NE(json.find(R"("money":{"currency":"USD","saved":"73.50","ceiling":"176.40",)"),
            std::string::npos);
  EXPECT_TRUE(advice_money(json, options_).ok()) << "still an advice";
}

TEST_F(AdviceMoneyTest, WhatHasNoPriceIsSaid) {
  options_.model = "unknown";
  EXPECT_EQ(advice_money(kAdvice, options_).code(), Errc::kNotFound);
  options_.model = "m";
  options_.currency = "CNY";
  EXPECT_FALSE(advice_money(kAdvice, options_).ok());
  options_.currency.clear();
  EXPECT_EQ(advice_money("no advice", options_).code(), Errc::kMalformedFrame);
}

}  // namespace quire::client::advice_money_test
