#include "model/prices/rates_reader.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

namespace quire::prices {

namespace {

using model::Result;
using model::TomlTable;

// Three factors of so many digits, and a million, make the 24 of a unit price.
constexpr size_t kMaxPriceDigits = 6;
constexpr uint64_t kMaxTokens = INT64_MAX;
constexpr size_t kMaxBands = 64;
constexpr size_t kMaxTiers = 64;
constexpr size_t kMaxTtls = 64;

constexpr std::array<std::string_view, 8> kRateKeys = {
    "miss",   "hit",   "hit_ratio",  "explicit_hit", "explicit_hit_ratio",
    "output", "write", "write_ratio"};
constexpr std::array<std::string_view, 2> kBandKeys = {"above", "up_to"};
constexpr std::array<std::string_view, 12> kEntryKeys = {
    "model",       "currency",       "from",
    "until",       "schedule",       "tiers",
    "default_ttl", "replayed",       "ttl_renewed_by_hit",
    "prefix_step", "minimum_prefix", "explicit_minimum_prefix"};
constexpr std::array<std::string_view, 2> kReplayedRules = {"miss", "hit"};

using Keys = std::vector<std::string_view>;

Keys joined(std::span<const std::string_view> first, std::span<const std::string_view> second) {
  Keys keys(first.begin(), first.end());
  keys.insert(keys.end(), second.begin(), second.end());
  return keys;
}

// One price that the vendor gives as a figure (`key`), or as a share of the price of a miss.
Result<Decimal> read_share(const TomlTable& table, std::string_view key, std::string_view ratio_key,
                           Decimal miss) {
  if (table.has(key) && table.has(ratio_key)) {
    return table.wrong_at(ratio_key, "'" + std::string(key) + "' gives the price already");
  }
  if (!table.has(ratio_key)) return read_price(table, key);
  const Result<Decimal> price = QUIRE_TRY(read_price(table, ratio_key)).times(miss);
  if (!price.ok()) return table.wrong_at(ratio_key, price.error().text);
  return *price;
}

Result<std::vector<WritePrice>> read_writes(const TomlTable& table, Decimal miss) {
  std::vector<WritePrice> writes;
  for (const std::string key : {"write", "write_ratio"}) {
    if (!table.has(key)) continue;
    const TomlTable by_ttl = QUIRE_TRY(table.table(key));
    for (const std::string& ttl : by_ttl.keys()) {
      const Decimal given = QUIRE_TRY(read_price(by_ttl, ttl));
      const Result<Decimal> price = key == "write" ? Result<Decimal>(given) : given.times(miss);
      if (!price.ok()) return by_ttl.wrong_at(ttl, price.error().text);
      const bool twice = std::any_of(writes.begin(), writes.end(),
                                     [&](const WritePrice& write) { return write.ttl == ttl; });
      if (twice) return by_ttl.wrong_at(ttl, "there is a write price of that TTL already");
      writes.push_back({ttl, *price});
    }
  }
  if (writes.size() > kMaxTtls) return table.wrong("too many TTLs of writes");
  std::sort(writes.begin(), writes.end(),
            [](const WritePrice& a, const WritePrice& b) { return a.ttl < b.ttl; });
  return writes;
}

Result<Rates> read_rates(const TomlTable& table) {
  Rates rates{.line = table.line()};
  rates.miss = QUIRE_TRY(read_price(table, "miss"));
  rates.hit = QUIRE_TRY(read_share(table, "hit", "hit_ratio", rates.miss));
  rates.output = QUIRE_TRY(read_price(table, "output"));
  rates.writes = QUIRE_TRY(read_writes(table, rates.miss));
  rates.explicit_hit = rates.hit;
  if (table.has("explicit_hit") || table.has("explicit_hit_ratio")) {
    rates.explicit_hit =
        QUIRE_TRY(read_share(table, "explicit_hit", "explicit_hit_ratio", rates.miss));
  }
  return rates;
}

// Without a hole and without an overlap: else a length would have no price, or two.
Result<void> check_follows(const TomlTable& table, uint64_t reached, const Rates& band) {
  if (band.above == reached) return {};
  return table.wrong_at("above", "the band begins above " + std::to_string(band.above) +
                                     " tokens, the one before it ends at " +
                                     std::to_string(reached));
}

Result<std::vector<Rates>> read_bands(const TomlTable& table) {
  std::vector<Rates> bands;
  uint64_t reached = 0;
  for (const TomlTable& one : QUIRE_TRY(table.tables("bands", "band", kMaxBands))) {
    if (reached == UINT64_MAX) return one.wrong("the band before it has no 'up_to'");
    QUIRE_TRY(one.check_keys(joined(kRateKeys, kBandKeys)));
    Rates band = QUIRE_TRY(read_rates(one));
    band.above = QUIRE_TRY(one.number("above", kMaxTokens, 0));
    if (one.has("up_to")) band.up_to = QUIRE_TRY(one.number("up_to", kMaxTokens));
    QUIRE_TRY(check_follows(one, reached, band));
    if (band.up_to <= band.above) return one.wrong_at("up_to", "the band has no lengths");
    reached = band.up_to;
    bands.push_back(std::move(band));
  }
  if (reached == UINT64_MAX) return bands;
  return table.wrong_at("bands", "the last band must have no 'up_to': prompts above " +
                                     std::to_string(reached) + " tokens have no price");
}

// What stands in the table beside `keys`: rates, or bands of them.
Result<std::vector<Rates>> read_bands_or_rates(const TomlTable& table, Keys keys) {
  if (table.has("bands")) {
    keys.push_back("bands");
    QUIRE_TRY(table.check_keys(keys));
    return read_bands(table);
  }
  QUIRE_TRY(table.check_keys(joined(kRateKeys, keys)));
  Rates rates = QUIRE_TRY(read_rates(table));
  return std::vector<Rates>{std::move(rates)};
}

Result<std::vector<std::vector<Rates>>> read_classes(const TomlTable& table,
                                                     const Schedule& schedule) {
  const TomlTable given = QUIRE_TRY(table.table("class"));
  const std::vector<std::string>& names = schedule.classes();
  QUIRE_TRY(given.check_keys(Keys(names.begin(), names.end())));
  std::vector<std::vector<Rates>> classes;
  for (const std::string& name : names) {
    if (!given.has(name)) {
      return table.wrong_at("class", "there is no price of class '" + name + "' of schedule '" +
                                         schedule.name() + "'");
    }
    const TomlTable one = QUIRE_TRY(given.table(name));
    classes.push_back(QUIRE_TRY(read_bands_or_rates(one, {})));
  }
  return classes;
}

Result<std::vector<Tier>> read_tiers(const TomlTable& table) {
  std::vector<Tier> tiers = {{std::string(kStandardTier), Decimal::one()}};
  if (!table.has("tiers")) return tiers;
  const TomlTable given = QUIRE_TRY(table.table("tiers"));
  if (given.keys().size() > kMaxTiers) return table.wrong_at("tiers", "too many tiers");
  for (const std::string& name : given.keys()) {
    if (name == kStandardTier) return given.wrong_at(name, "the standard tier is the prices'");
    const Decimal factor = QUIRE_TRY(read_price(given, name));
    tiers.push_back({name, factor});
  }
  return tiers;
}

bool same_ttls(const Rates& a, const Rates& b) {
  return std::equal(a.writes.begin(), a.writes.end(), b.writes.begin(), b.writes.end(),
                    [](const WritePrice& x, const WritePrice& y) { return x.ttl == y.ttl; });
}

Result<void> check_ttls(const TomlTable& table, const PriceEntry& entry) {
  const Rates& first = entry.classes[0][0];
  for (const std::vector<Rates>& bands : entry.classes) {
    for (const Rates& band : bands) {
      if (same_ttls(first, band)) continue;
      return table.wrong("line " + std::to_string(band.line) +
                         " has not the TTLs of writes that line " + std::to_string(first.line) +
                         " has");
    }
  }
  const bool found =
      std::any_of(first.writes.begin(), first.writes.end(),
                  [&](const WritePrice& write) { return write.ttl == entry.default_ttl; });
  if (found || entry.default_ttl.empty()) return {};
  return table.wrong_at("default_ttl",
                        "'default_ttl' must be one of the TTLs that have a write price");
}

Result<void> read_prefixes(const TomlTable& table, PriceEntry& entry) {
  entry.minimum_prefix = QUIRE_TRY(table.number("minimum_prefix", kMaxTokens, 0));
  entry.explicit_minimum_prefix =
      QUIRE_TRY(table.number("explicit_minimum_prefix", kMaxTokens, entry.minimum_prefix));
  entry.prefix_step = QUIRE_TRY(table.number("prefix_step", kMaxTokens, 1));
  if (entry.prefix_step > 0) return {};
  return table.wrong_at("prefix_step", "'prefix_step' is at least 1");
}

Result<size_t> find_schedule(const TomlTable& table, const std::vector<Schedule>& schedules) {
  const std::string name = QUIRE_TRY(table.text("schedule"));
  const auto found = std::find_if(schedules.begin(), schedules.end(),
                                  [&](const Schedule& one) { return one.name() == name; });
  if (found != schedules.end()) return static_cast<size_t>(found - schedules.begin());
  return table.wrong_at("schedule", "there is no [[schedule]] '" + name + "' in the book");
}

Result<void> read_all_rates(const TomlTable& table, const std::vector<Schedule>& schedules,
                            PriceEntry& entry) {
  const Keys keys(kEntryKeys.begin(), kEntryKeys.end());
  if (!table.has("schedule")) {
    entry.classes.push_back(QUIRE_TRY(read_bands_or_rates(table, keys)));
    return {};
  }
  constexpr std::array<std::string_view, 1> kClass = {"class"};
  QUIRE_TRY(table.check_keys(joined(keys, kClass)));
  entry.schedule = QUIRE_TRY(find_schedule(table, schedules));
  entry.classes = QUIRE_TRY(read_classes(table, schedules[entry.schedule]));
  return {};
}

}  // namespace

Result<Validity> read_validity(const TomlTable& table) {
  Validity valid{.line = table.line()};
  valid.from_us = QUIRE_TRY(table.instant_us("from"));
  if (!table.has("until")) return valid;
  valid.until_us = QUIRE_TRY(table.instant_us("until"));
  if (valid.until_us > valid.from_us) return valid;
  return table.wrong_at("until",
                        "'until' is the first instant behind it, and must be after 'from'");
}

Result<Decimal> read_price(const TomlTable& table, std::string_view key) {
  const std::string text = QUIRE_TRY(table.text(key));
  const Result<Decimal> price = Decimal::parse(text);
  if (!price.ok()) return table.wrong_at(key, price.error().text);
  const size_t point = text.find('.');
  if (point == std::string::npos || text.size() - point - 1 <= kMaxPriceDigits) return *price;
  return table.wrong_at(key, "'" + text + "' has more than " + std::to_string(kMaxPriceDigits) +
                                 " digits behind the point");
}

Result<std::string> read_currency(const TomlTable& table) {
  std::string text = QUIRE_TRY(table.text("currency"));
  if (is_currency(text)) return text;
  return table.wrong_at("currency", "'" + text + "' is no currency: write three capitals, as CNY");
}

Result<PriceEntry> read_price_entry(const TomlTable& table,
                                    const std::vector<Schedule>& schedules) {
  PriceEntry entry;
  QUIRE_TRY(read_all_rates(table, schedules, entry));
  entry.model = QUIRE_TRY(table.text("model"));
  entry.currency = QUIRE_TRY(read_currency(table));
  entry.valid = QUIRE_TRY(read_validity(table));
  entry.tiers = QUIRE_TRY(read_tiers(table));
  entry.default_ttl = QUIRE_TRY(table.text("default_ttl", ""));
  entry.ttl_renewed_by_hit = QUIRE_TRY(table.flag("ttl_renewed_by_hit"));
  entry.replayed_as_hit = QUIRE_TRY(table.choice("replayed", kReplayedRules, "miss")) == 1;
  QUIRE_TRY(read_prefixes(table, entry));
  QUIRE_TRY(check_ttls(table, entry));
  return entry;
}

}  // namespace quire::prices
