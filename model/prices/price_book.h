// A price book: what a vendor charged for tokens, from when to when. Of one TOML file (its grammar:
// docs/prices.md) and the calendars that it names.
//
// A book that could be read holds what billing takes for granted:
//  1. the prices of one model in one currency follow each other without a gap or an overlap;
//  2. the bands of prompt lengths of each price reach from 0 to any length, and have the same TTLs;
//  3. an alias leads to a model that is priced as long as the alias lasts, never in a circle, and
//     has no prices of its own meanwhile;
//  4. unit prices are exact (decimal.h).
// Prices in several currencies are lists of their own, never conversions of each other.
// Threads: any; immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/prices/decimal.h"
#include "model/prices/schedule.h"
#include "model/result.h"

namespace quire::prices {

inline constexpr int kDefaultDigits = 6;  // of a bill's total behind the point
inline constexpr size_t kNoSchedule = SIZE_MAX;
inline constexpr std::string_view kStandardTier = "standard";

// When something holds, and where in the book it stands.
struct Validity {
  int64_t from_us = 0;
  int64_t until_us = INT64_MAX;
  uint32_t line = 0;

  bool holds(int64_t instant_us) const { return instant_us >= from_us && instant_us < until_us; }
};

struct WritePrice {
  std::string ttl;  // "5m"
  Decimal price;
};

// Of prompts above `above` and up to `up_to` tokens; the whole request. All a million tokens.
struct Rates {
  uint64_t above = 0;
  uint64_t up_to = UINT64_MAX;
  Decimal miss;
  Decimal hit;
  Decimal explicit_hit;
  Decimal output;
  std::vector<WritePrice> writes;  // by TTL; empty: writing is free, and a miss
  uint32_t line = 0;
};

struct Tier {
  std::string name;
  Decimal factor;
};

struct PriceEntry {
  std::string model;
  std::string currency;
  Validity valid;
  size_t schedule = kNoSchedule;            // position in the book
  std::vector<std::vector<Rates>> classes;  // bands by class of the schedule; without: one
  std::vector<Tier> tiers;                  // at 0 "standard", whose factor is 1
  std::string default_ttl;                  // of writes without a retention class; empty: misses
  bool ttl_renewed_by_hit = false;
  uint64_t minimum_prefix = 0;           // shorter hits are misses, shorter prompts not written
  uint64_t explicit_minimum_prefix = 0;  // the same where the prefix was marked
  uint64_t prefix_step = 1;              // hits are multiples of it
  bool replayed_as_hit = false;          // else tokens that were computed again are misses
};

// From then on requests for `name` are served, and billed, as ones for `model`.
struct AliasEntry {
  std::string name;
  std::string model;
  Validity valid;
};

// Charged by the call.
struct ItemEntry {
  std::string name;
  std::string model;  // empty: whatever the model
  std::string currency;
  Validity valid;
  Decimal price;  // of one
};

enum class StorageUnit : uint8_t { kMillionTokenHours, kTiBHours };
enum class StorageRule : uint8_t {
  kLived,          // as long as it was there
  kTtlSet,         // as long as it was asked for when it was written
  kHourlyMaximum,  // the most of each hour, whole hours
};

struct StorageEntry {
  std::string model;  // empty: whatever the model
  std::string currency;
  Validity valid;
  StorageUnit unit = StorageUnit::kMillionTokenHours;
  StorageRule rule = StorageRule::kLived;
  Decimal price;
};

// Three capitals, as ISO 4217 has them.
bool is_currency(std::string_view text);

class PriceBook {
 public:
  // kInvalidArgument: "path:line: text". kNotFound, kIoError: it cannot be read.
  static model::Result<PriceBook> load(const std::string& path);
  // Calendars are looked for beside `path`.
  static model::Result<PriceBook> parse(std::string_view text, const std::string& path);

  const std::string& path() const { return path_; }
  const std::string& vendor() const { return vendor_; }
  const std::vector<Schedule>& schedules() const { return schedules_; }
  // By model, currency and time.
  const std::vector<PriceEntry>& prices() const { return prices_; }
  const std::vector<AliasEntry>& aliases() const { return aliases_; }
  const std::vector<ItemEntry>& items() const { return items_; }
  const std::vector<StorageEntry>& storage() const { return storage_; }
  // In the order of their names.
  std::vector<std::string> currencies() const;
  // Behind the point of totals in that currency.
  int digits(std::string_view currency) const;

 private:
  friend class PriceBookReader;

  std::string path_;
  std::string vendor_;
  std::map<std::string, int, std::less<>> digits_;
  std::vector<Schedule> schedules_;
  std::vector<PriceEntry> prices_;
  std::vector<AliasEntry> aliases_;
  std::vector<ItemEntry> items_;
  std::vector<StorageEntry> storage_;
};

}  // namespace quire::prices
