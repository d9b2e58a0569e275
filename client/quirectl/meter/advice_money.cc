#include "client/quirectl/meter/advice_money.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "client/quirectl/advice_output.h"
#include "model/prices/bill.h"
#include "model/prices/price_book.h"

namespace quire::client {

using model::Errc;
using model::make_error;
using model::Result;
using prices::Decimal;

namespace {

constexpr uint64_t kPromptTokens = 65'536;
constexpr int kDigits = 2;

// By how much a prompt that is all hit costs less than one that is all missed.
struct Worth {
  std::string currency;
  Decimal saved;
};

Result<Worth> worth_of(const AdviceMoneyOptions& options) {
  const prices::PriceBook book = QUIRE_TRY(prices::PriceBook::load(options.book_path));
  std::string currency = options.currency;
  if (currency.empty() && !book.currencies().empty()) currency = book.currencies().front();
  prices::BillMaker maker = QUIRE_TRY(prices::BillMaker::create(book, {.currency = currency}));
  QUIRE_TRY(maker.add(prices::Billable{.instant_us = options.instant_us,
                                       .model = options.model,
                                       .prompt_tokens = kPromptTokens,
                                       .hit_tokens = kPromptTokens}));
  const prices::Bill bill = QUIRE_TRY(maker.bill());
  if (!bill.unpriced.empty() || bill.totals.empty()) {
    return make_error(Errc::kNotFound, options.book_path + " has no price of " + options.model +
                                           " in " + currency + " now");
  }
  const prices::Sum saved = QUIRE_TRY(bill.totals[0].all_miss.minus(bill.totals[0].amount));
  return Worth{currency, saved.rounded(Decimal::kDigits)};
}

std::string padded(const std::string& text, size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

Result<std::string> value_of(const Worth& worth, double hit_tokens) {
  const auto tokens = static_cast<uint64_t>(std::max(0.0, std::round(hit_tokens)));
  const prices::Sum sum = QUIRE_TRY(prices::Sum::product(worth.saved, tokens, kPromptTokens));
  return sum.rounded(kDigits).fixed(kDigits);
}

}  // namespace

Result<AdviceMoney> advice_money(std::string_view advice, const AdviceMoneyOptions& options) {
  const AdviceFigures figures = QUIRE_TRY(advice_figures(advice));
  const Worth worth = QUIRE_TRY(worth_of(options));
  const auto of_percent = [&](double percent) {
    return value_of(worth, percent / 100 * figures.prompt_tokens);
  };
  AdviceMoney money;
  money.currency = worth.currency;
  money.saved = QUIRE_TRY(of_percent(figures.hit_percent));
  money.ceiling = QUIRE_TRY(of_percent(figures.ceiling_percent));
  for (const AdviceFigures::Row& row : figures.rows) {
    const std::string saved = QUIRE_TRY(of_percent(row.percent));
    money.rows.push_back({row.policy, row.size, saved});
  }
  return money;
}

std::string money_table(const AdviceMoney& money) {
  std::string out = "hits saved " + money.currency + " " + money.saved + ", an infinite cache " +
                    money.ceiling + "; would save:";
  std::string_view policy;
  for (const AdviceMoney::Row& row : money.rows) {
    if (row.policy != policy) {
      policy = row.policy;
      out += "\n" + row.policy + std::string(16 - std::min<size_t>(16, row.policy.size()), ' ');
    }
    out += padded(row.saved, 8);
  }
  return out + "\n";
}

// Names of policies, sizes and amounts need no escapes.
std::string with_money(std::string_view advice, const AdviceMoney& money) {
  std::string rows;
  for (const AdviceMoney::Row& row : money.rows) {
    if (!rows.empty()) rows += ",";
    rows += R"({"policy":")" + row.policy + R"(","size":")" + row.size + R"(","saved":")" +
            row.saved + R"("})";
  }
  std::string text(advice);
  text.resize(text.rfind('}'));
  return text + R"(,"money":{"currency":")" + money.currency + R"(","saved":")" + money.saved +
         R"(","ceiling":")" + money.ceiling + R"(","rows":[)" + rows + "]}}";
}

}  // namespace quire::client
