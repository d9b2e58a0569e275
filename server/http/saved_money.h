// What hits saved, by a price book: what their tokens would have cost as misses, less what they
// cost as hits, both at the price of now. An estimate for people; bills are made of receipts, each
// at its own time (docs/billing.md). Amounts are exact (model/prices). Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/metrics.h"
#include "model/prices/price_book.h"
#include "model/prices/pricer.h"
#include "model/result.h"

namespace quire::server {

class SavedMoney {
 public:
  // Errors of PriceBook::load and Pricer::create. kNotFound: the book has no price of it now.
  static model::Result<std::unique_ptr<SavedMoney>> create(const std::string& book,
                                                           const std::string& model,
                                                           int64_t now_us);

  // {"model", "currency", "hit_price", "miss_price", "hit_tokens", "saved"}, prices of a million
  // tokens, amounts as texts; with "reason" instead of them where there is no price then.
  std::string json(uint64_t hit_tokens, int64_t now_us);

 private:
  SavedMoney(prices::PriceBook book, std::string model)
      : book_(std::move(book)), model_(std::move(model)) {}
  // kNotFound: why there is none.
  model::Result<const prices::PriceCell*> find_price(int64_t now_us);
  model::Result<void> say(uint64_t hit_tokens, int64_t now_us, model::MetricSink& sink);

  prices::PriceBook book_;
  std::string model_;
  std::unique_ptr<prices::Pricer> pricer_;
};

}  // namespace quire::server
