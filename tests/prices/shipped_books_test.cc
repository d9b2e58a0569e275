// The shipped books: every price that is known of a vendor comes out for a request at its instant,
// and DeepSeek's calendar is right at its edges.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "model/prices/instant.h"
#include "model/prices/pricer.h"

namespace quire::prices::shipped_books_test {
namespace {

namespace fs = std::filesystem;

const std::string kFolder = QUIRE_SOURCE_DIR "/configs/prices";

// A book of the folder, and its pricer.
struct Shipped {
  explicit Shipped(const std::string& name)
      : book(PriceBook::load(kFolder + "/" + name + ".toml").value()),
        pricer(Pricer::create(book).value()) {}

  PriceBook book;
  Pricer pricer;
};

Shipped& shipped(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Shipped>> books;
  std::unique_ptr<Shipped>& book = books[name];
  if (book == nullptr) book = std::make_unique<Shipped>(name);
  return *book;
}

struct Row {
  const char* book;
  const char* model;
  const char* currency;
  const char* instant;
  const char* hit;
  const char* miss;
  const char* output;
  uint64_t prompt = 10'000;
  const char* tier = "";
};

struct WriteRow {
  const char* book;
  const char* model;
  const char* ttl;
  const char* price;
  uint64_t prompt = 10'000;
};

Charge charge_of(Shipped& shelf, Billable request, std::string_view instant,
                 std::string_view currency) {
  request.instant_us = parse_instant(instant).value();
  for (size_t i = 0; i < shelf.pricer.currencies().size(); ++i) {
    if (shelf.pricer.currencies()[i] == currency) return shelf.pricer.price(request, i);
  }
  return {.unpriced = Unpriced::kNoCurrency};
}

// Of a million tokens; a text that says why where there is none.
std::string price_of(Shipped& shelf, const Charge& charge, TokenKind kind) {
  if (charge.unpriced != Unpriced::kNot) return std::string(unpriced_text(charge.unpriced));
  const PriceCell& cell = shelf.pricer.cell(charge.cell);
  return cell.prices[static_cast<size_t>(kind)].times(1'000'000).value().text();
}

Charge plain_charge(const Row& row) {
  const Billable request{.model = row.model,
                         .service_tier = row.tier,
                         .prompt_tokens = row.prompt,
                         .missed_tokens = row.prompt};
  return charge_of(shipped(row.book), request, row.instant, row.currency);
}

// Prices as texts without trailing zeros.
void expect_row(const Row& row) {
  SCOPED_TRACE(std::string(row.model) + " " + row.currency + " " + row.instant + " " + row.tier +
               " " + std::to_string(row.prompt));
  const Charge charge = plain_charge(row);
  EXPECT_EQ(price_of(shipped(row.book), charge, TokenKind::kHit), row.hit);
  EXPECT_EQ(price_of(shipped(row.book), charge, TokenKind::kMiss), row.miss);
  EXPECT_EQ(price_of(shipped(row.book), charge, TokenKind::kOutput), row.output);
}

constexpr const char* kFlash = "deepseek-v4-flash";
constexpr const char* kPro = "deepseek-v4-pro";
constexpr const char* kNew = "deepseek-flash";
// Mondays in Beijing: in the morning's peak, and in the evening.
constexpr const char* kAugustPeak = "2026-08-24T09:00:00+08:00";
constexpr const char* kAugustEvening = "2026-08-24T20:00:00+08:00";
constexpr const char* kNovemberPeak = "2026-11-30T09:00:00+08:00";
constexpr const char* kNovember = "2026-11-30T20:00:00+08:00";

TEST(ShippedBooks, DeepSeekSinceV4InYuan) {
  for (const Row& row : std::initializer_list<Row>{
           {"deepseek", kFlash, "CNY", "2026-04-24T12:00:00Z", "0.2", "1", "2"},
           {"deepseek", kFlash, "CNY", "2026-04-26T12:14:59Z", "0.2", "1", "2"},
           {"deepseek", kFlash, "CNY", "2026-04-26T12:15:00Z", "0.02", "1", "2"},
           {"deepseek", kFlash, "CNY", "2026-08-16T15:59:59Z", "0.02", "1", "2"},
           {"deepseek", kFlash, "CNY", "2026-08-16T16:00:00Z", "0.05", "1.5", "4.5"},
           {"deepseek", kFlash, "CNY", kAugustEvening, "0.05", "1.5", "4.5"},
           {"deepseek", kFlash, "CNY", kAugustPeak, "0.1", "3", "9"},
           {"deepseek", kPro, "CNY", "2026-04-24T12:00:00Z", "1", "12", "24"},
           {"deepseek", kPro, "CNY", "2026-04-26T12:14:59Z", "0.25", "3", "6"},
           {"deepseek", kPro, "CNY", "2026-04-26T12:15:00Z", "0.025", "3", "6"},
           {"deepseek", kPro, "CNY", "2026-06-15T12:00:00Z", "0.025", "3", "6"},
           {"deepseek", kPro, "CNY", kAugustEvening, "0.15", "4.5", "13.5"},
           {"deepseek", kPro, "CNY", kAugustPeak, "0.3", "9", "27"},
           {"deepseek", kPro, "CNY", kNovember, "0.15", "4.5", "13.5"},
           {"deepseek", kPro, "CNY", kNovemberPeak, "0.3", "9", "27"},
           {"deepseek", kNew, "CNY", kNovember, "0.02", "1", "4"},
           {"deepseek", kNew, "CNY", kNovemberPeak, "0.04", "2", "8"}}) {
    expect_row(row);
  }
}

TEST(ShippedBooks, DeepSeekSinceV4InDollars) {
  for (const Row& row : std::initializer_list<Row>{
           {"deepseek", kFlash, "USD", "2026-04-24T12:00:00Z", "0.028", "0.14", "0.28"},
           {"deepseek", kFlash, "USD", "2026-04-26T12:15:00Z", "0.0028", "0.14", "0.28"},
           {"deepseek", kFlash, "USD", "2026-08-16T15:59:59Z", "0.0028", "0.14", "0.28"},
           {"deepseek", kFlash, "USD", kAugustEvening, "0.007", "0.22", "0.66"},
           {"deepseek", kFlash, "USD", kAugustPeak, "0.014", "0.44", "1.32"},
           {"deepseek", kPro, "USD", "2026-04-24T12:00:00Z", "0.145", "1.74", "3.48"},
           {"deepseek", kPro, "USD", "2026-04-26T12:14:59Z", "0.03625", "0.435", "0.87"},
           {"deepseek", kPro, "USD", "2026-04-26T12:15:00Z", "0.003625", "0.435", "0.87"},
           {"deepseek", kPro, "USD", "2026-08-16T15:59:59Z", "0.003625", "0.435", "0.87"},
           {"deepseek", kPro, "USD", kAugustEvening, "0.022", "0.66", "1.98"},
           {"deepseek", kPro, "USD", kAugustPeak, "0.044", "1.32", "3.96"},
           {"deepseek", kPro, "USD", kNovemberPeak, "0.044", "1.32", "3.96"},
           {"deepseek", kNew, "USD", kNovember, "0.003", "0.15", "0.6"},
           {"deepseek", kNew, "USD", kNovemberPeak, "0.006", "0.3", "1.2"}}) {
    expect_row(row);
  }
}

TEST(ShippedBooks, DeepSeekBeforeV4) {
  constexpr const char* kChat = "deepseek-chat";
  constexpr const char* kReasoner = "deepseek-reasoner";
  for (const Row& row : std::initializer_list<Row>{
           {"deepseek", kChat, "CNY", "2024-08-02T00:00:00+08:00", "0.1", "1", "2"},
           {"deepseek", kChat, "USD", "2024-08-02T00:00:00+08:00", "0.014", "0.14", "0.28"},
           {"deepseek", kChat, "USD", "2025-02-08T16:00:00Z", "0.07", "0.27", "1.1"},
           {"deepseek", kReasoner, "USD", "2025-02-08T16:00:00Z", "0.14", "0.55", "2.19"},
           {"deepseek", kChat, "USD", "2025-06-01T16:29:59Z", "0.07", "0.27", "1.1"},
           {"deepseek", kChat, "USD", "2025-06-01T16:30:00Z", "0.035", "0.135", "0.55"},
           {"deepseek", kReasoner, "CNY", "2025-06-02T00:29:59Z", "0.25", "1", "4"},
           {"deepseek", kReasoner, "CNY", "2025-06-02T00:30:00Z", "1", "4", "16"},
           {"deepseek", kChat, "CNY", "2025-09-05T16:00:00Z", "0.5", "4", "12"},
           {"deepseek", kChat, "CNY", "2026-01-01T00:00:00Z", "0.2", "2", "3"}}) {
    expect_row(row);
  }
}

TEST(ShippedBooks, LegacyNamesAreReroutedAtTheirInstant) {
  for (const Row& row : std::initializer_list<Row>{
           {"deepseek", kFlash, "CNY", "2026-09-09T15:59:59Z", "0.05", "1.5", "4.5"},
           {"deepseek", kFlash, "CNY", "2026-09-09T16:00:00Z", "0.02", "1", "4"},
           {"deepseek", kFlash, "USD", kNovemberPeak, "0.006", "0.3", "1.2"},
           {"deepseek", "deepseek-v4-flash-vision-exp", "CNY", kAugustPeak, "0.1", "3", "9"},
           {"deepseek", "deepseek-v4-flash-vision-exp", "CNY", kNovemberPeak, "0.04", "2", "8"},
           {"deepseek", "deepseek-chat", "USD", "2026-04-24T12:00:00Z", "0.028", "0.14", "0.28"},
           {"deepseek", "deepseek-reasoner", "USD", "2026-07-24T15:58:59Z", "0.0028", "0.14",
            "0.28"}}) {
    expect_row(row);
  }
  const Row retired{"deepseek", "deepseek-chat", "USD", "2026-07-24T15:59:00Z", "", "", ""};
  EXPECT_EQ(plain_charge(retired).unpriced, Unpriced::kNoPriceThen);
}

// "peak" or "off_peak" by what a miss costs in yuan.
std::string class_at(const std::string& instant) {
  const Row row{"deepseek", kPro, "CNY", instant.c_str(), "", "", ""};
  const std::string miss = price_of(shipped("deepseek"), plain_charge(row), TokenKind::kMiss);
  return miss == "9" ? "peak" : miss == "4.5" ? "off_peak" : miss;
}

TEST(ShippedBooks, PeakHoursOfBeijing) {
  const std::vector<std::pair<std::string, std::string>> hours = {
      {"08:59:59", "off_peak"}, {"09:00:00", "peak"},     {"11:59:59", "peak"},
      {"12:00:00", "off_peak"}, {"13:59:59", "off_peak"}, {"14:00:00", "peak"},
      {"17:59:59", "peak"},     {"18:00:00", "off_peak"}};
  for (const auto& [time, expected] : hours) {
    EXPECT_EQ(class_at("2026-09-15T" + time + "+08:00"), expected) << time;
  }
}

TEST(ShippedBooks, PeakHoursAcrossTheDaysOfBeijingAndOfUtc) {
  // 01:00 UTC is 09:00 in Beijing: midnight of UTC lies in the morning there, before the peak.
  EXPECT_EQ(class_at("2026-09-15T23:59:59Z"), "off_peak");
  EXPECT_EQ(class_at("2026-09-16T00:00:00Z"), "off_peak");
  EXPECT_EQ(class_at("2026-09-16T01:00:00Z"), "peak");
  EXPECT_EQ(class_at("2026-09-16T15:59:59Z"), "off_peak");
  EXPECT_EQ(class_at("2026-09-16T16:00:00Z"), "off_peak");
  // Friday's last peak hour, then Saturday, Sunday and Monday morning in Beijing.
  EXPECT_EQ(class_at("2026-09-18T09:59:59Z"), "peak");
  EXPECT_EQ(class_at("2026-09-19T01:00:00Z"), "off_peak");
  EXPECT_EQ(class_at("2026-09-20T01:00:00Z"), "off_peak");
  EXPECT_EQ(class_at("2026-09-21T01:00:00Z"), "peak");
}

TEST(ShippedBooks, HolidaysAndWorkingWeekends) {
  EXPECT_EQ(class_at("2026-10-07T10:00:00+08:00"), "off_peak");  // National Day, a Wednesday
  EXPECT_EQ(class_at("2026-09-25T10:00:00+08:00"), "off_peak");  // Mid-Autumn, a Friday
  EXPECT_EQ(class_at("2026-09-24T10:00:00+08:00"), "peak");
  EXPECT_EQ(class_at("2026-10-08T10:00:00+08:00"), "peak");
  EXPECT_EQ(class_at("2026-10-10T10:00:00+08:00"), "off_peak");  // a Saturday that is worked
  EXPECT_EQ(class_at("2026-09-20T10:00:00+08:00"), "off_peak");  // a Sunday that is worked
}

TEST(ShippedBooks, WeekendsHadPeakHoursUntilTheTwentyThirdOfAugust) {
  EXPECT_EQ(class_at("2026-08-22T10:00:00+08:00"), "peak");
  EXPECT_EQ(class_at("2026-08-22T23:59:59+08:00"), "off_peak");
  EXPECT_EQ(class_at("2026-08-23T10:00:00+08:00"), "off_peak");
  EXPECT_EQ(class_at("2026-08-29T10:00:00+08:00"), "off_peak");
  EXPECT_EQ(class_at("2026-08-24T10:00:00+08:00"), "peak");
}

TEST(ShippedBooks, TheYearWithoutACalendarIsNotGuessed) {
  EXPECT_EQ(class_at("2027-01-04T10:00:00+08:00"), unpriced_text(Unpriced::kNoCalendar));
  EXPECT_EQ(class_at("2027-01-04T20:00:00+08:00"), "off_peak");
}

TEST(ShippedBooks, OtherVendors) {
  for (const Row& row : std::initializer_list<Row>{
           {"anthropic", "claude-opus-5-5", "USD", kNovember, "0.2", "4", "20"},
           {"anthropic", "claude-opus-5-5", "USD", kNovember, "0.1", "2", "10", 10, "batch"},
           {"anthropic", "claude-opus-5-5", "USD", kNovember, "0.4", "8", "40", 10, "fast"},
           {"anthropic", "claude-sonnet-5-5", "USD", "2026-10-06T23:59:59Z", "0.2", "2", "10"},
           {"anthropic", "claude-sonnet-5-5", "USD", "2026-10-07T00:00:00Z", "0.1", "2", "10"},
           {"anthropic", "claude-haiku-5-5", "USD", kNovember, "0.01", "0.1", "0.5", 100'000},
           {"anthropic", "claude-haiku-5-5", "USD", kNovember, "0.05", "0.5", "2.5", 100'001},
           {"anthropic", "claude-fable-5-1", "USD", kNovember, "0.25", "10", "50"},
           {"openai", "gpt-6.1-sol", "USD", kNovember, "0.1", "2", "10", 272'000},
           {"openai", "gpt-6.1-sol", "USD", kNovember, "0.2", "4", "15", 272'001},
           {"openai", "gpt-6.1-sol", "USD", kNovember, "0.05", "1", "5", 10, "batch"},
           {"openai", "gpt-6.1-sol", "USD", kNovember, "0.2", "4", "20", 10, "fast"},
           {"openai", "gpt-6-astra", "USD", kNovember, "6", "60", "300", 10, "ultrafast"},
           {"google", "gemini-3.6-flash", "USD", kNovember, "0.075", "0.75", "3.75"},
           {"google", "gemini-3.1-pro-preview", "USD", kNovember, "0.2", "2", "12", 200'000},
           {"google", "gemini-3.1-pro-preview", "USD", kNovember, "0.4", "4", "18", 200'001},
           {"moonshot", "kimi-k3", "USD", kNovember, "0.3", "3", "15"},
           {"moonshot", "kimi-k3", "CNY", kNovember, "2", "20", "100"},
           {"moonshot", "kimi-k2.6", "USD", kNovember, "0.16", "0.95", "4"},
           {"moonshot", "kimi-k2.7-code", "USD", kNovember, "0.19", "0.95", "4"},
           {"alibaba", "qwen3.8-max", "USD", kNovember, "0.4", "2", "6"},
           {"minimax", "MiniMax-M3", "USD", kNovember, "0.06", "0.3", "1.2", 512'000},
           {"minimax", "MiniMax-M3", "USD", kNovember, "0.12", "0.6", "2.4", 512'001},
           {"minimax", "MiniMax-M2.7", "CNY", kNovember, "0.42", "2.1", "8.4"},
           {"xai", "grok-4.6", "USD", kNovember, "0.5", "2", "6", 200'000},
           {"xai", "grok-4.6", "USD", kNovember, "1", "4", "12", 200'001},
           {"zhipu", "glm-5.3", "USD", kNovember, "0.26", "1.4", "4.4"}}) {
    expect_row(row);
  }
}

TEST(ShippedBooks, WritesByTtl) {
  for (const WriteRow& row :
       std::initializer_list<WriteRow>{{"anthropic", "claude-opus-5-5", "5m", "5"},
                                       {"anthropic", "claude-opus-5-5", "1h", "8"},
                                       {"anthropic", "claude-sonnet-5-5", "", "2.5"},
                                       {"anthropic", "claude-sonnet-5-5", "1h", "4"},
                                       {"anthropic", "claude-haiku-5-5", "5m", "0.125"},
                                       {"anthropic", "claude-haiku-5-5", "1h", "0.2"},
                                       {"anthropic", "claude-haiku-5-5", "5m", "0.625", 100'001},
                                       {"anthropic", "claude-haiku-5-5", "1h", "1", 100'001},
                                       {"openai", "gpt-6.1-sol", "30m", "2.5"},
                                       {"openai", "gpt-6.1-sol", "12h", "5"},
                                       {"openai", "gpt-6.1-sol", "12h", "10", 300'000},
                                       {"moonshot", "kimi-k3", "5m", "3"},
                                       {"moonshot", "kimi-k3", "1h", "6"},
                                       {"alibaba", "qwen3.8-max", "5m", "2.5"},
                                       {"minimax", "MiniMax-M2.7", "5m", "0.375"}}) {
    SCOPED_TRACE(std::string(row.model) + " " + row.ttl);
    const Billable request{.model = row.model,
                           .retention = row.ttl,
                           .prompt_tokens = row.prompt,
                           .missed_tokens = row.prompt,
                           .written_tokens = row.prompt};
    const Charge charge = charge_of(shipped(row.book), request, kNovember, "USD");
    EXPECT_EQ(price_of(shipped(row.book), charge, TokenKind::kWrite), row.price);
    EXPECT_EQ(charge.tokens[static_cast<size_t>(TokenKind::kWrite)], row.prompt);
  }
}

TEST(ShippedBooks, ExplicitHitsOfAlibaba) {
  const Billable request{
      .model = "qwen3.8-max", .prompt_tokens = 4096, .hit_tokens = 4096, .explicit_hit = true};
  const Charge charge = charge_of(shipped("alibaba"), request, kNovember, "USD");
  EXPECT_EQ(price_of(shipped("alibaba"), charge, TokenKind::kExplicitHit), "0.2");
  EXPECT_EQ(charge.tokens[static_cast<size_t>(TokenKind::kExplicitHit)], 4096u);
}

std::string extras_text(Pricer& pricer) {
  Sum sum;
  for (const ExtraCharge& charge : pricer.extras()) {
    const PriceExtra& extra = pricer.extra(charge.extra);
    sum = sum.plus(Sum::product(extra.price, charge.quantity, extra.divisor).value()).value();
  }
  return sum.rounded(9).text();
}

TEST(ShippedBooks, StorageAndCalls) {
  const int64_t begin_us = parse_instant(kNovember).value();
  // A million tokens for 72 hours at Gemini's rate.
  Pricer& google = shipped("google").pricer;
  const Billable kept{.instant_us = begin_us,
                      .model = "gemini-3.1-pro-preview",
                      .retention = "72h",
                      .prompt_tokens = 1'000'000,
                      .missed_tokens = 1'000'000,
                      .written_tokens = 1'000'000};
  ASSERT_EQ(google.extras_of(kept, 0), Unpriced::kNot);
  EXPECT_EQ(extras_text(google), "324");

  Pricer& baidu = shipped("baidu").pricer;
  const StoredBillable stored{
      .begin_us = begin_us, .end_us = begin_us + 3'600'000'000, .model = "", .most_tokens = 1000};
  ASSERT_EQ(baidu.extras_of(stored, 0), Unpriced::kNot);
  EXPECT_EQ(extras_text(baidu), "0.000017");

  Pricer& deepseek = shipped("deepseek").pricer;
  const std::array<ItemCount, 1> searches = {ItemCount{"search", 1000}};
  const Billable searched{.instant_us = begin_us, .model = kNew, .items = searches};
  ASSERT_EQ(deepseek.currencies()[0], "CNY");
  ASSERT_EQ(deepseek.extras_of(searched, 0), Unpriced::kNot);
  EXPECT_EQ(extras_text(deepseek), "5");
}

TEST(ShippedBooks, EachFileOfTheFolderIsReadAndTested) {
  size_t books = 0;
  for (const auto& file : fs::directory_iterator(kFolder)) {
    if (file.path().extension() != ".toml") continue;
    const auto book = PriceBook::load(file.path().string());
    ASSERT_TRUE(book.ok()) << book.error().text;
    ++books;
  }
  EXPECT_EQ(books, 10u);
}

}  // namespace
}  // namespace quire::prices::shipped_books_test
