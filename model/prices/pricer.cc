#include "model/prices/pricer.h"

#include <algorithm>
#include <charconv>

#include "model/check.h"
#include "model/prices/instant.h"

namespace quire::prices {

namespace {

// The book's checks allow no circle; as many steps as a chain of names has.
constexpr size_t kMaxAliasSteps = 64;
constexpr int64_t kHourUs = 3'600'000'000;

// "5m", "12h", "30s", "7d"; nothing for other texts.
std::optional<uint64_t> ttl_seconds(std::string_view ttl) {
  uint32_t count = 0;
  const auto [end, failure] = std::from_chars(ttl.data(), ttl.data() + ttl.size(), count);
  if (failure != std::errc() || end + 1 != ttl.data() + ttl.size()) return std::nullopt;
  switch (*end) {
    case 's':
      return count;
    case 'm':
      return uint64_t{count} * 60;
    case 'h':
      return uint64_t{count} * 3'600;
    case 'd':
      return uint64_t{count} * 86'400;
    default:
      return std::nullopt;
  }
}

uint64_t minimum_of(const PriceEntry& entry, const Billable& request) {
  return request.explicit_hit ? entry.explicit_minimum_prefix : entry.minimum_prefix;
}

// What of the prompt is a hit on the bill: whole steps, from the minimum on.
uint64_t billed_hit(const PriceEntry& entry, const Billable& request) {
  const uint64_t present =
      request.hit_tokens + (entry.replayed_as_hit ? request.replayed_tokens : 0);
  return present < minimum_of(entry, request) ? 0 : present - present % entry.prefix_step;
}

std::string_view ttl_of(const PriceEntry& entry, const Billable& request) {
  return request.retention.empty() ? std::string_view(entry.default_ttl) : request.retention;
}

// Written tokens that have a price of their own, of so many that were no hits. What was written
// beyond those, of the output, is no part of this prompt.
uint64_t billed_writes(const PriceEntry& entry, const Rates& rates, const Billable& request,
                       uint64_t missed) {
  const bool priced = !rates.writes.empty() && !ttl_of(entry, request).empty() &&
                      request.prompt_tokens >= minimum_of(entry, request);
  return priced ? std::min(request.written_tokens, missed) : 0;
}

// A written token is charged instead of a missed one.
TokenCounts count_tokens(const PriceEntry& entry, const Rates& rates, const Billable& request) {
  const uint64_t hit = billed_hit(entry, request);
  const uint64_t missed = request.prompt_tokens - hit;
  const uint64_t written = billed_writes(entry, rates, request, missed);
  TokenCounts tokens{};
  tokens[static_cast<size_t>(request.explicit_hit ? TokenKind::kExplicitHit : TokenKind::kHit)] =
      hit;
  tokens[static_cast<size_t>(TokenKind::kMiss)] = missed - written;
  tokens[static_cast<size_t>(TokenKind::kWrite)] = written;
  tokens[static_cast<size_t>(TokenKind::kOutput)] = request.output_tokens;
  return tokens;
}

bool adds_up(const Billable& request) {
  const UInt128 sum = UInt128{request.hit_tokens} + request.replayed_tokens + request.missed_tokens;
  return sum == request.prompt_tokens;
}

UInt128 storage_quantity(const StorageEntry& entry, const StoredBillable& stored) {
  const bool tokens = entry.unit == StorageUnit::kMillionTokenHours;
  if (entry.rule == StorageRule::kLived) {
    return tokens ? stored.token_seconds : stored.byte_seconds;
  }
  const Int128 length_us = std::max<Int128>(Int128{stored.end_us} - stored.begin_us, 0);
  const auto hours = static_cast<uint64_t>((length_us + kHourUs - 1) / kHourUs);
  return UInt128{tokens ? stored.most_tokens : stored.most_bytes} * hours * 3'600;
}

}  // namespace

std::string_view token_kind_name(TokenKind kind) {
  constexpr std::array<std::string_view, kTokenKinds> kNames = {"hit", "explicit hit", "miss",
                                                                "write", "output"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view unpriced_text(Unpriced reason) {
  constexpr std::array<std::string_view, 9> kTexts = {
      "priced",
      "the book has no such model; add a [[price]] or an [[alias]]",
      "the book has no price at that instant",
      "the book has no price in that currency at that instant",
      "the calendars do not speak of that day; add the year's file to the schedule",
      "the price has no such service tier; add it to 'tiers'",
      "the price has no write price of that retention class; add it to 'write'",
      "the book has no price of a call that was counted; add an [[item]]",
      "hit, replayed and missed tokens are not the prompt's"};
  return kTexts[static_cast<size_t>(reason)];
}

Charge Pricer::price(const Billable& request, size_t currency) {
  Charge charge;
  const auto refuse = [&](Unpriced reason) { return charge.unpriced = reason, charge; };
  if (!adds_up(request)) return refuse(Unpriced::kBadSum);
  const std::optional<uint32_t> found = find_name(request.model, request.instant_us);
  if (!found) return refuse(Unpriced::kNoModel);
  const Name& name = names_[*found];
  const Compiled* compiled = find_price(name, currency, request.instant_us);
  if (compiled == nullptr) {
    return refuse(has_price(name, request.instant_us) ? Unpriced::kNoCurrency
                                                      : Unpriced::kNoPriceThen);
  }
  charge.unpriced = find_cell(*compiled, request, charge.cell);
  if (charge.unpriced != Unpriced::kNot) return charge;
  charge.tokens = count_tokens(*compiled->entry, *cells_[charge.cell].rates, request);
  return charge;
}

std::optional<uint32_t> Pricer::find_name(std::string_view model, int64_t instant_us) const {
  const auto found = name_of_.find(model);
  if (found == name_of_.end()) return std::nullopt;
  uint32_t index = found->second;
  for (size_t step = 0; step < kMaxAliasSteps; ++step) {
    const std::vector<Alias>& aliases = names_[index].aliases;
    const auto alias = std::find_if(aliases.begin(), aliases.end(),
                                    [&](const Alias& one) { return one.valid.holds(instant_us); });
    if (alias == aliases.end()) return index;
    index = alias->target;
  }
  return std::nullopt;
}

const Pricer::Compiled* Pricer::find_price(const Name& name, size_t currency,
                                           int64_t instant_us) const {
  // From the end: most requests are newer than most prices.
  const std::vector<Compiled>& list = name.lists[currency];
  for (auto price = list.rbegin(); price != list.rend(); ++price) {
    if (price->entry->valid.holds(instant_us)) return &*price;
  }
  return nullptr;
}

bool Pricer::has_price(const Name& name, int64_t instant_us) const {
  for (size_t currency = 0; currency < currencies_.size(); ++currency) {
    if (find_price(name, currency, instant_us) != nullptr) return true;
  }
  return false;
}

Unpriced Pricer::find_cell(const Compiled& price, const Billable& request, uint32_t& cell) {
  const PriceEntry& entry = *price.entry;
  size_t class_index = 0;
  if (entry.schedule != kNoSchedule) {
    const auto found =
        book_->schedules()[entry.schedule].class_at(request.instant_us, cursors_[entry.schedule]);
    if (!found) return Unpriced::kNoCalendar;
    class_index = *found;
  }
  const std::vector<Rates>& bands = entry.classes[class_index];
  size_t band = 0;
  while (request.prompt_tokens > bands[band].up_to) ++band;

  const std::string_view tier_name =
      request.service_tier.empty() ? kStandardTier : request.service_tier;
  size_t tier = 0;
  while (tier < entry.tiers.size() && entry.tiers[tier].name != tier_name) ++tier;
  if (tier == entry.tiers.size()) return Unpriced::kNoTier;

  size_t ttl = 0;
  const std::vector<WritePrice>& writes = bands[band].writes;
  const std::string_view ttl_name = ttl_of(entry, request);
  if (!writes.empty() && request.written_tokens > 0 && !ttl_name.empty()) {
    while (ttl < writes.size() && writes[ttl].ttl != ttl_name) ++ttl;
    if (ttl == writes.size()) return Unpriced::kNoTtl;
  }
  cell = price.first_cells[class_index] +
         static_cast<uint32_t>((band * entry.tiers.size() + tier) * price.ttl_count + ttl);
  return Unpriced::kNot;
}

bool Pricer::applies(const PriceExtra& extra, std::optional<uint32_t> model, size_t currency,
                     int64_t instant_us) const {
  return extra.currency == currency && extra.valid.holds(instant_us) &&
         (!extra.model || extra.model == model);
}

// The one of the model before the one of every model.
std::optional<uint32_t> Pricer::find_item(std::string_view name, std::optional<uint32_t> model,
                                          size_t currency, int64_t instant_us) const {
  std::optional<uint32_t> found;
  for (uint32_t i = 0; i < book_->items().size(); ++i) {
    const PriceExtra& extra = extras_[i];
    if (extra.name != name || !applies(extra, model, currency, instant_us)) continue;
    if (extra.model) return i;
    found = i;
  }
  return found;
}

// Those of the model before those of every model.
template <typename Wanted>
std::vector<size_t> Pricer::find_storage(std::optional<uint32_t> model, size_t currency,
                                         int64_t instant_us, Wanted wanted) const {
  std::vector<size_t> of_model, of_all;
  for (size_t i = 0; i < book_->storage().size(); ++i) {
    const PriceExtra& extra = extras_[storage_extra(i)];
    if (!wanted(book_->storage()[i].rule) || !applies(extra, model, currency, instant_us)) continue;
    (extra.model ? of_model : of_all).push_back(i);
  }
  return of_model.empty() ? of_all : of_model;
}

uint32_t Pricer::storage_extra(size_t index) const {
  return static_cast<uint32_t>(book_->items().size() + index);
}

Unpriced Pricer::extras_of(const Billable& request, size_t currency) {
  found_extras_.clear();
  if (extras_.empty() && request.items.empty()) return Unpriced::kNot;
  const std::optional<uint32_t> model = find_name(request.model, request.instant_us);
  for (const ItemCount& item : request.items) {
    if (item.count == 0) continue;
    const auto extra = find_item(item.name, model, currency, request.instant_us);
    if (!extra) return Unpriced::kNoItem;
    found_extras_.push_back({*extra, item.count});
  }
  // Without a retention class nothing was asked to be kept.
  if (request.written_tokens == 0 || request.retention.empty()) return Unpriced::kNot;
  const auto kept = find_storage(model, currency, request.instant_us,
                                 [](StorageRule rule) { return rule == StorageRule::kTtlSet; });
  const std::optional<uint64_t> ttl_s = ttl_seconds(request.retention);
  if (!kept.empty() && !ttl_s) return Unpriced::kNoTtl;
  for (const size_t i : kept) {
    found_extras_.push_back({storage_extra(i), UInt128{request.written_tokens} * *ttl_s});
  }
  return Unpriced::kNot;
}

Unpriced Pricer::extras_of(const StoredBillable& stored, size_t currency) {
  found_extras_.clear();
  const std::optional<uint32_t> model = find_name(stored.model, stored.begin_us);
  for (const size_t i : find_storage(model, currency, stored.begin_us, [](StorageRule rule) {
         return rule != StorageRule::kTtlSet;
       })) {
    found_extras_.push_back({storage_extra(i), storage_quantity(book_->storage()[i], stored)});
  }
  return found_extras_.empty() ? Unpriced::kNoPriceThen : Unpriced::kNot;
}

std::string Pricer::rule_text(const PriceCell& cell) const {
  const PriceEntry& entry = *cell.entry;
  std::string text = entry.model + " from " + instant_text(entry.valid.from_us);
  if (entry.schedule != kNoSchedule) {
    text += ", " + book_->schedules()[entry.schedule].classes()[cell.class_index];
  }
  if (cell.rates->above > 0) text += ", above " + std::to_string(cell.rates->above) + " tokens";
  if (cell.rates->up_to != UINT64_MAX) {
    text += ", up to " + std::to_string(cell.rates->up_to) + " tokens";
  }
  if (cell.tier > 0) {
    const Tier& tier = entry.tiers[cell.tier];
    text += ", " + tier.name + " x" + tier.factor.text();
  }
  return text;
}

std::string Pricer::rule_text(const PriceExtra& extra) const {
  return extra.name + " from " + instant_text(extra.valid.from_us);
}

}  // namespace quire::prices
