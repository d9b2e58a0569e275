#include "server/http/saved_money.h"

#include <utility>

#include "server/status/metric_tape.h"
#include "server/status/status_json.h"

namespace quire::server {

using prices::Decimal;
using prices::PriceCell;
using prices::Sum;
using prices::TokenKind;

namespace {

constexpr uint64_t kMillion = 1'000'000;
// Of a prompt whose band of lengths is taken, all of it a hit: longer than any book's shortest one.
constexpr uint64_t kPromptTokens = 100'000;
constexpr int kCents = 2;  // digits behind the point of what is saved

Decimal price_of(const PriceCell& cell, TokenKind kind) {
  return cell.prices[static_cast<size_t>(kind)];
}

}  // namespace

model::Result<std::unique_ptr<SavedMoney>> SavedMoney::create(const std::string& book,
                                                              const std::string& model,
                                                              int64_t now_us) {
  std::unique_ptr<SavedMoney> saved(
      new SavedMoney(QUIRE_TRY(prices::PriceBook::load(book)), model));
  saved->pricer_ =
      std::make_unique<prices::Pricer>(QUIRE_TRY(prices::Pricer::create(saved->book_)));
  QUIRE_TRY(saved->find_price(now_us));
  return saved;
}

model::Result<const PriceCell*> SavedMoney::find_price(int64_t now_us) {
  prices::Unpriced reason = prices::Unpriced::kNoModel;
  // The first currency of the book that has a price of it.
  for (size_t currency = 0; currency < pricer_->currencies().size(); ++currency) {
    const prices::Charge charge = pricer_->price({.instant_us = now_us,
                                                  .model = model_,
                                                  .prompt_tokens = kPromptTokens,
                                                  .hit_tokens = kPromptTokens},
                                                 currency);
    if (charge.unpriced == prices::Unpriced::kNot) return &pricer_->cell(charge.cell);
    reason = charge.unpriced;
  }
  return model::make_error(model::Errc::kNotFound, "--http_price_model " + model_ + ": " +
                                                       std::string(unpriced_text(reason)));
}

model::Result<void> SavedMoney::say(uint64_t hit_tokens, int64_t now_us, model::MetricSink& sink) {
  const PriceCell& cell = *QUIRE_TRY(find_price(now_us));
  const Decimal hit = price_of(cell, TokenKind::kHit);
  const Decimal miss = price_of(cell, TokenKind::kMiss);
  const Sum as_misses = QUIRE_TRY(Sum::product(miss, hit_tokens));
  const Sum as_hits = QUIRE_TRY(Sum::product(hit, hit_tokens));
  const Decimal saved = QUIRE_TRY(as_misses.minus(as_hits)).rounded(kCents);
  const std::string hit_text = QUIRE_TRY(hit.times(kMillion)).text();
  const std::string miss_text = QUIRE_TRY(miss.times(kMillion)).text();
  sink.text("currency", cell.entry->currency);
  sink.text("hit_price", hit_text);
  sink.text("miss_price", miss_text);
  sink.gauge("hit_tokens", hit_tokens, "Since the daemon's start");
  sink.text("saved", saved.fixed(kCents));
  return {};
}

std::string SavedMoney::json(uint64_t hit_tokens, int64_t now_us) {
  MetricTape tape;
  tape.text("schema", "quire.prices.v1");
  tape.text("model", model_);
  if (const auto said = say(hit_tokens, now_us, tape); !said.ok()) {
    tape.text("reason", said.error().text);
  }
  return json_of(tape);
}

}  // namespace quire::server
