// A book becomes cells (pricer.h): done once, so that no request multiplies prices.
#include <algorithm>
#include <utility>

#include "model/prices/pricer.h"

namespace quire::prices {

namespace {

using model::Errc;
using model::make_error;
using model::Result;

constexpr uint64_t kMillion = 1'000'000;
constexpr uint64_t kStorageHourS = 3'600;
// Of all books: 1,000 models with 8 prices of 2 classes, 4 bands, 4 tiers and 2 TTLs are half of
// it.
constexpr size_t kMaxCells = 1 << 20;

// A million tokens' price, times the tier's factor, for one token.
Result<Decimal> unit_price(Decimal price, Decimal factor) {
  return QUIRE_TRY(price.over(kMillion)).times(factor);
}

Result<std::array<Decimal, kTokenKinds>> unit_prices(const Rates& rates, Decimal factor,
                                                     size_t ttl) {
  const Decimal write = rates.writes.empty() ? rates.miss : rates.writes[ttl].price;
  return std::array<Decimal, kTokenKinds>{
      QUIRE_TRY(unit_price(rates.hit, factor)), QUIRE_TRY(unit_price(rates.explicit_hit, factor)),
      QUIRE_TRY(unit_price(rates.miss, factor)), QUIRE_TRY(unit_price(write, factor)),
      QUIRE_TRY(unit_price(rates.output, factor))};
}

// Token seconds or byte seconds into what the price is of.
uint64_t divisor_of(StorageUnit unit) {
  return unit == StorageUnit::kTiBHours ? kStorageHourS << 40 : kStorageHourS;
}

}  // namespace

Result<Pricer> Pricer::create(const PriceBook& book) {
  Pricer pricer(book);
  QUIRE_TRY(pricer.compile());
  return pricer;
}

Pricer::Pricer(const PriceBook& book)
    : book_(&book), currencies_(book.currencies()), cursors_(book.schedules().size()) {}

Result<void> Pricer::compile() {
  for (const PriceEntry& entry : book_->prices()) QUIRE_TRY(compile_entry(entry));
  for (const AliasEntry& alias : book_->aliases()) {
    const uint32_t target = name_index(alias.model);
    names_[name_index(alias.name)].aliases.push_back({alias.valid, target});
  }
  compile_extras();
  return {};
}

Result<void> Pricer::compile_entry(const PriceEntry& entry) {
  Compiled compiled{.entry = &entry, .first_cells = {}, .ttl_count = 1};
  compiled.ttl_count =
      std::max<uint32_t>(1, static_cast<uint32_t>(entry.classes[0][0].writes.size()));
  for (size_t i = 0; i < entry.classes.size(); ++i) {
    compiled.first_cells.push_back(static_cast<uint32_t>(cells_.size()));
    for (const Rates& rates : entry.classes[i]) {
      QUIRE_TRY(add_cells(entry, rates, static_cast<uint16_t>(i)));
    }
  }
  const size_t currency = currency_index(entry.currency);
  names_[name_index(entry.model)].lists[currency].push_back(std::move(compiled));
  return {};
}

Result<void> Pricer::add_cells(const PriceEntry& entry, const Rates& rates, uint16_t class_index) {
  const size_t ttls = std::max<size_t>(1, rates.writes.size());
  for (size_t tier = 0; tier < entry.tiers.size(); ++tier) {
    for (size_t ttl = 0; ttl < ttls; ++ttl) {
      const auto prices = unit_prices(rates, entry.tiers[tier].factor, ttl);
      if (!prices.ok() || cells_.size() >= kMaxCells) {
        return make_error(Errc::kInvalidArgument,
                          book_->path() + ":" + std::to_string(rates.line) + ": " +
                              (prices.ok() ? "the book has too many prices, bands and tiers"
                                           : prices.error().text));
      }
      cells_.push_back({.entry = &entry,
                        .rates = &rates,
                        .class_index = class_index,
                        .tier = static_cast<uint16_t>(tier),
                        .ttl = static_cast<uint16_t>(ttl),
                        .prices = *prices});
    }
  }
  return {};
}

void Pricer::compile_extras() {
  const auto model_of = [&](const std::string& model) {
    return model.empty() ? std::nullopt : std::optional<uint32_t>(name_index(model));
  };
  for (const ItemEntry& item : book_->items()) {
    extras_.push_back({.name = item.name,
                       .currency = currency_index(item.currency),
                       .model = model_of(item.model),
                       .valid = item.valid,
                       .price = item.price,
                       .divisor = 1,
                       .unit = "calls",
                       .book_price = item.price,
                       .book_price_of = "call"});
  }
  for (const StorageEntry& entry : book_->storage()) {
    const bool tokens = entry.unit == StorageUnit::kMillionTokenHours;
    // Six digits: a millionth of it is exact.
    const Decimal price = tokens ? entry.price.over(kMillion).value() : entry.price;
    extras_.push_back({.name = "storage",
                       .currency = currency_index(entry.currency),
                       .model = model_of(entry.model),
                       .valid = entry.valid,
                       .price = price,
                       .divisor = divisor_of(entry.unit),
                       .unit = tokens ? "token seconds" : "byte seconds",
                       .book_price = entry.price,
                       .book_price_of = tokens ? "1M token hours" : "TiB hour",
                       .storage = true});
  }
}

uint32_t Pricer::name_index(const std::string& name) {
  const auto [found, added] = name_of_.emplace(name, static_cast<uint32_t>(names_.size()));
  if (added)
    names_.push_back(
        {.aliases = {}, .lists = std::vector<std::vector<Compiled>>(currencies_.size())});
  return found->second;
}

size_t Pricer::currency_index(const std::string& currency) const {
  return static_cast<size_t>(std::lower_bound(currencies_.begin(), currencies_.end(), currency) -
                             currencies_.begin());
}

}  // namespace quire::prices
