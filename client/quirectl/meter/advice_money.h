// `policy advise` in money: what the hits that each policy, at each size, would have had are worth
// by a price book.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace quire::client {

struct AdviceMoneyOptions {
  std::string book_path;
  std::string model;       // as prices are listed
  std::string currency;    // empty: the book's first
  int64_t instant_us = 0;  // whose prices: the present ones
};

struct AdviceMoney {
  struct Row {
    std::string policy;
    std::string size;
    std::string saved;
  };
  std::string currency;
  std::string saved;    // by what was hit in truth
  std::string ceiling;  // by an infinite cache
  std::vector<Row> rows;
};

// Tokens that would have hit, times what a hit costs less than a miss at that instant. As exact as
// the advice is: its tokens are estimates. Prompts are taken to be of 65,536 tokens, for prices
// that go by their length. kMalformedFrame: `advice` is none. Errors of PriceBook::load; kNotFound:
// the book has no such price.
model::Result<AdviceMoney> advice_money(std::string_view advice, const AdviceMoneyOptions& options);
// Under the advice's own table, a column a size.
std::string money_table(const AdviceMoney& money);
// The advice with a member "money".
std::string with_money(std::string_view advice, const AdviceMoney& money);

}  // namespace quire::client
