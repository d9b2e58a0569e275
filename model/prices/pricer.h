// Finds what a request is charged by a book: through aliases to the model, its list in a currency,
// the price that holds at the request's begin, the class of that hour, the band of the prompt's
// length, the service tier.
//
// All of that together is a *cell*: five unit prices a token, worked out when the pricer is made.
// So a request is a cell and how many tokens of each kind; money is made of sums of tokens, by who
// adds them up (bill.h). Items and storage are *extras* with a price of their own.
// What a request is not charged by is a reason (Unpriced), never a guess.
//
// Threads: one; it remembers the last day it looked at. The book outlives it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/prices/billable.h"
#include "model/prices/price_book.h"
#include "model/result.h"

namespace quire::prices {

enum class TokenKind : uint8_t { kHit, kExplicitHit, kMiss, kWrite, kOutput };
inline constexpr size_t kTokenKinds = 5;
// "hit", "explicit hit", "miss", "write", "output".
std::string_view token_kind_name(TokenKind kind);

enum class Unpriced : uint8_t {
  kNot,          // it has a price
  kNoModel,      // the book has no such model, nor an alias of that name
  kNoPriceThen,  // not at that instant
  kNoCurrency,   // not in that currency
  kNoCalendar,   // the calendars do not speak of that day
  kNoTier,       // no such service tier
  kNoTtl,        // no write price of that retention class
  kNoItem,       // no price of a call that was counted
  kBadSum,       // hit, replayed and missed tokens are not the prompt
};
// For people: what is missing, and what to do.
std::string_view unpriced_text(Unpriced reason);

using TokenCounts = std::array<uint64_t, kTokenKinds>;

// One combination of an entry, a class, a band, a tier and a TTL of writes.
struct PriceCell {
  const PriceEntry* entry = nullptr;
  const Rates* rates = nullptr;
  uint16_t class_index = 0;
  uint16_t tier = 0;
  uint16_t ttl = 0;                         // among the writes of `rates`, where it has some
  std::array<Decimal, kTokenKinds> prices;  // of a token, the tier's factor in it
};

// An item, or storage.
struct PriceExtra {
  std::string name;  // "search", "storage"
  size_t currency = 0;
  std::optional<uint32_t> model;  // nothing: whatever it is
  Validity valid;
  Decimal price;              // of `divisor` units of quantity
  uint64_t divisor = 1;       // see Sum::product
  std::string unit;           // of quantity, for people: "calls", "token seconds"
  Decimal book_price;         // as the book has it,
  std::string book_price_of;  // and of how much: "call", "1M token hours"
  bool storage = false;       // which there is none of without a cache
};

struct Charge {
  Unpriced unpriced = Unpriced::kNot;
  uint32_t cell = 0;
  TokenCounts tokens{};
};

struct ExtraCharge {
  uint32_t extra = 0;
  UInt128 quantity = 0;
};

class Pricer {
 public:
  // kInvalidArgument: a unit price that is not exact, named with its line.
  static model::Result<Pricer> create(const PriceBook& book);

  const PriceBook& book() const { return *book_; }
  // Positions of these are what `currency` is below.
  const std::vector<std::string>& currencies() const { return currencies_; }
  Charge price(const Billable& request, size_t currency);
  // What is charged beside tokens; kNoItem and kNoTtl where something of it has no price. The list
  // is good until the next call.
  Unpriced extras_of(const Billable& request, size_t currency);
  // kNoPriceThen where the book has no price for storage then.
  Unpriced extras_of(const StoredBillable& stored, size_t currency);
  std::span<const ExtraCharge> extras() const { return found_extras_; }

  const PriceCell& cell(uint32_t index) const { return cells_[index]; }
  const PriceExtra& extra(uint32_t index) const { return extras_[index]; }
  // "deepseek-v4-pro from 2026-08-16T16:00:00Z, peak, above 200000 tokens, batch x0.5".
  std::string rule_text(const PriceCell& cell) const;
  std::string rule_text(const PriceExtra& extra) const;

 private:
  // A price entry, and where its cells begin: by class, then by band, tier and TTL.
  struct Compiled {
    const PriceEntry* entry;
    std::vector<uint32_t> first_cells;
    uint32_t ttl_count;
  };
  struct Alias {
    Validity valid;
    uint32_t target;
  };
  // A model, or an alias, or first the one and then the other.
  struct Name {
    std::vector<Alias> aliases;
    std::vector<std::vector<Compiled>> lists;  // by currency, in time
  };
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  explicit Pricer(const PriceBook& book);
  model::Result<void> compile();
  model::Result<void> compile_entry(const PriceEntry& entry);
  model::Result<void> add_cells(const PriceEntry& entry, const Rates& rates, uint16_t class_index);
  void compile_extras();
  uint32_t name_index(const std::string& name);
  size_t currency_index(const std::string& currency) const;

  std::optional<uint32_t> find_name(std::string_view model, int64_t instant_us) const;
  const Compiled* find_price(const Name& name, size_t currency, int64_t instant_us) const;
  Unpriced find_cell(const Compiled& price, const Billable& request, uint32_t& cell);
  bool has_price(const Name& name, int64_t instant_us) const;
  std::optional<uint32_t> find_item(std::string_view name, std::optional<uint32_t> model,
                                    size_t currency, int64_t instant_us) const;
  bool applies(const PriceExtra& extra, std::optional<uint32_t> model, size_t currency,
               int64_t instant_us) const;
  // Positions in the book's storage, of those rules that `wanted` takes.
  template <typename Wanted>
  std::vector<size_t> find_storage(std::optional<uint32_t> model, size_t currency,
                                   int64_t instant_us, Wanted wanted) const;
  uint32_t storage_extra(size_t index) const;

  const PriceBook* book_;
  std::vector<std::string> currencies_;
  std::unordered_map<std::string, uint32_t, TextHash, std::equal_to<>> name_of_;
  std::vector<Name> names_;
  std::vector<PriceCell> cells_;
  std::vector<PriceExtra> extras_;         // items, in the book's order, then storage
  std::vector<Schedule::Cursor> cursors_;  // by schedule
  std::vector<ExtraCharge> found_extras_;
};

}  // namespace quire::prices
