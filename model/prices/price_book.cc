#include "model/prices/price_book.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "model/prices/book_checks.h"
#include "model/prices/rates_reader.h"
#include "model/toml_table.h"

namespace quire::prices {

namespace {

using model::Result;
using model::TomlTable;

constexpr size_t kMaxBookBytes = 8 << 20;
constexpr size_t kMaxEntries = 10'000;
constexpr size_t kMaxSchedules = 100;
constexpr std::array<std::string_view, 7> kBookKeys = {"vendor", "digits", "schedule", "price",
                                                       "alias",  "item",   "storage"};
constexpr std::array<std::string_view, 4> kAliasKeys = {"name", "model", "from", "until"};
constexpr std::array<std::string_view, 7> kItemKeys = {"name",  "model", "currency", "from",
                                                       "until", "price", "per"};
constexpr std::array<std::string_view, 7> kStorageKeys = {"model", "currency", "from",   "until",
                                                          "price", "per",      "charged"};
constexpr std::array<std::string_view, 2> kStorageUnits = {"million_token_hours", "tib_hours"};
constexpr std::array<std::string_view, 3> kStorageRules = {"lived", "ttl_set", "hourly_maximum"};

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

bool is_currency(std::string_view text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// Fills a book from its file, part by part.
class PriceBookReader {
 public:
  explicit PriceBookReader(const std::string& path) { book_.path_ = path; }

  Result<PriceBook> read(const TomlTable& root) {
    QUIRE_TRY(root.check_keys(kBookKeys));
    book_.vendor_ = QUIRE_TRY(root.text("vendor"));
    QUIRE_TRY(read_digits(root));
    QUIRE_TRY(read_schedules(root));
    for (const TomlTable& one : QUIRE_TRY(root.tables("price", "price", kMaxEntries))) {
      book_.prices_.push_back(QUIRE_TRY(read_price_entry(one, book_.schedules_)));
    }
    QUIRE_TRY(read_aliases(root));
    QUIRE_TRY(read_items(root));
    QUIRE_TRY(read_storage(root));
    std::stable_sort(book_.prices_.begin(), book_.prices_.end(),
                     [](const PriceEntry& a, const PriceEntry& b) {
                       return std::tie(a.model, a.currency, a.valid.from_us) <
                              std::tie(b.model, b.currency, b.valid.from_us);
                     });
    QUIRE_TRY(check_book(book_));
    return std::move(book_);
  }

 private:
  Result<void> read_digits(const TomlTable& root) {
    if (!root.has("digits")) return {};
    const TomlTable table = QUIRE_TRY(root.table("digits"));
    for (const std::string& currency : table.keys()) {
      book_.digits_[currency] =
          static_cast<int>(QUIRE_TRY(table.number(currency, Decimal::kDigits)));
    }
    return {};
  }

  Result<void> read_schedules(const TomlTable& root) {
    std::set<std::string> names;
    for (const TomlTable& one : QUIRE_TRY(root.tables("schedule", "schedule", kMaxSchedules))) {
      book_.schedules_.push_back(QUIRE_TRY(Schedule::read(one, folder_of(book_.path_))));
      if (names.insert(book_.schedules_.back().name()).second) continue;
      return one.wrong_at("name", "there is a schedule of that name already");
    }
    return {};
  }

  // Field by field: GCC forgets to destroy what a braced list has made when it is left by
  // QUIRE_TRY.
  Result<void> read_aliases(const TomlTable& root) {
    for (const TomlTable& one : QUIRE_TRY(root.tables("alias", "alias", kMaxEntries))) {
      QUIRE_TRY(one.check_keys(kAliasKeys));
      AliasEntry entry;
      entry.name = QUIRE_TRY(one.text("name"));
      entry.model = QUIRE_TRY(one.text("model"));
      entry.valid = QUIRE_TRY(read_validity(one));
      book_.aliases_.push_back(std::move(entry));
    }
    return {};
  }

  Result<void> read_items(const TomlTable& root) {
    for (const TomlTable& one : QUIRE_TRY(root.tables("item", "item", kMaxEntries))) {
      QUIRE_TRY(one.check_keys(kItemKeys));
      const uint64_t per = QUIRE_TRY(one.number("per", 1'000'000'000, 1));
      if (per == 0) return one.wrong_at("per", "'per' is how many calls the price is of");
      const Result<Decimal> price = QUIRE_TRY(read_price(one, "price")).over(per);
      if (!price.ok()) return one.wrong_at("per", price.error().text);
      ItemEntry entry;
      entry.name = QUIRE_TRY(one.text("name"));
      entry.model = QUIRE_TRY(one.text("model", ""));
      entry.currency = QUIRE_TRY(read_currency(one));
      entry.valid = QUIRE_TRY(read_validity(one));
      entry.price = *price;
      book_.items_.push_back(std::move(entry));
    }
    return {};
  }

  Result<void> read_storage(const TomlTable& root) {
    for (const TomlTable& one : QUIRE_TRY(root.tables("storage", "storage", kMaxEntries))) {
      QUIRE_TRY(one.check_keys(kStorageKeys));
      StorageEntry entry;
      entry.model = QUIRE_TRY(one.text("model", ""));
      entry.currency = QUIRE_TRY(read_currency(one));
      entry.valid = QUIRE_TRY(read_validity(one));
      entry.unit = static_cast<StorageUnit>(QUIRE_TRY(one.choice("per", kStorageUnits)));
      entry.rule = static_cast<StorageRule>(QUIRE_TRY(one.choice("charged", kStorageRules)));
      entry.price = QUIRE_TRY(read_price(one, "price"));
      if (entry.rule == StorageRule::kTtlSet && entry.unit == StorageUnit::kTiBHours) {
        return one.wrong_at("charged",
                            "what is written is counted in tokens: per = "
                            "\"million_token_hours\"");
      }
      book_.storage_.push_back(std::move(entry));
    }
    return {};
  }

  PriceBook book_;
};

Result<PriceBook> PriceBook::load(const std::string& path) {
  return parse(QUIRE_TRY(model::read_text_file(path, kMaxBookBytes)), path);
}

Result<PriceBook> PriceBook::parse(std::string_view text, const std::string& path) {
  return PriceBookReader(path).read(QUIRE_TRY(TomlTable::parse_file(text, path)));
}

std::vector<std::string> PriceBook::currencies() const {
  std::set<std::string> names;
  for (const PriceEntry& entry : prices_) names.insert(entry.currency);
  for (const ItemEntry& entry : items_) names.insert(entry.currency);
  for (const StorageEntry& entry : storage_) names.insert(entry.currency);
  return {names.begin(), names.end()};
}

int PriceBook::digits(std::string_view currency) const {
  const auto found = digits_.find(currency);
  return found == digits_.end() ? kDefaultDigits : found->second;
}

}  // namespace quire::prices
