// A bill: what requests cost by a price book, line by line, each with the rule that it follows.
//
// A pure function of what is added and of the book: the order does not matter. Tokens are summed by
// rule, in whole numbers; money is made of the sums when the bill is written, exactly, and rounded
// once: each total, half to even, to the digits that the book has for its currency. Amounts of
// lines are not rounded, so they add up to the total before that.
// Threads: one. Memory: by distinct groups and rules, never by requests. The book outlives it.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/prices/billable.h"
#include "model/prices/pricer.h"
#include "model/prices/zone.h"
#include "model/result.h"

namespace quire::prices {

struct BillOptions {
  bool by_model = false;  // the name that the request carries, an alias too
  bool by_namespace = false;
  bool by_tenant = false;
  bool by_day = false;
  std::string day_zone = "UTC";  // whose days
  std::string currency;          // empty: one bill by each list that the book has
  size_t max_groups = 1 << 20;   // and as many lines, and models without a price
};

// What a part of a bill is about; what it is not split by is empty.
struct BillGroup {
  std::optional<std::chrono::sys_days> day;
  std::string tenant;
  std::string namespace_name;
  std::string model;

  friend auto operator<=>(const BillGroup&, const BillGroup&) = default;
};

struct BillLine {
  BillGroup group;
  std::string currency;
  std::string kind;        // "hit", "write 5m", "search"
  std::string rule;        // Pricer::rule_text, for people
  uint32_t book_line = 0;  // where that price stands
  UInt128 quantity = 0;
  std::string unit;      // "tokens"
  Decimal price;         // as the book has it, times the tier's factor
  std::string price_of;  // "1M tokens"
  Sum amount;
  std::optional<TokenKind> token_kind;  // none: an item, or storage
};

struct BillTotal {
  BillGroup group;
  std::string currency;
  int digits = kDefaultDigits;
  uint64_t requests = 0;
  Sum amount;
  Sum all_miss;  // the same requests, had nothing been hit and nothing been stored

  Decimal rounded() const { return amount.rounded(digits); }
  Decimal rounded_all_miss() const { return all_miss.rounded(digits); }
  // Of the exact difference; less than zero where writing cost more than hits saved.
  model::Result<Decimal> saved() const;
};

struct UnpricedLine {
  std::string model;
  Unpriced reason = Unpriced::kNot;
  uint64_t requests = 0;
};

struct Bill {
  BillOptions options;  // which parts of groups it is split by
  std::string vendor;
  std::string book;
  std::vector<BillLine> lines;       // by group, currency, price and kind of tokens
  std::vector<BillTotal> subtotals;  // by group and currency; none where it is not split
  std::vector<BillTotal> totals;     // by currency
  std::vector<UnpricedLine> unpriced;
};

class BillMaker {
 public:
  // kInvalidArgument: the book has no such currency, or no unit price; no such zone.
  static model::Result<BillMaker> create(const PriceBook& book, const BillOptions& options);

  // kResourceExhausted: more groups than options allow. kInvalidArgument: a sum does not fit. A
  // request that the book has no price for is no error: the bill lists it.
  // `charges`: what it adds to the bill, a line of its own each, with no group; none where there is
  // no price. Null: nobody asks.
  model::Result<void> add(const Billable& request, std::vector<BillLine>* charges = nullptr);
  // Storage that the book has no price for is free.
  model::Result<void> add(const StoredBillable& stored, std::vector<BillLine>* charges = nullptr);
  // kInvalidArgument: an amount does not fit.
  model::Result<Bill> bill() const;

 private:
  // A group's texts, lent for a look or kept as a key.
  template <typename Text>
  struct GroupKey {
    Text model;
    Text namespace_name;
    Text tenant;
    int64_t day = 0;
  };
  struct GroupHash {
    using is_transparent = void;
    template <typename Text>
    size_t operator()(const GroupKey<Text>& key) const;
  };
  struct GroupEqual {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const GroupKey<A>& a, const GroupKey<B>& b) const;
  };
  struct CellSums {
    TokenCounts tokens{};
    uint64_t prompt_tokens = 0;
    uint64_t requests = 0;
  };
  class Writer;

  BillMaker(Pricer pricer, const BillOptions& options)
      : pricer_(std::move(pricer)), options_(options) {}

  bool is_split() const {
    return options_.by_model || options_.by_namespace || options_.by_tenant || options_.by_day;
  }
  template <typename Any>
  model::Result<uint32_t> find_group(const Any& billable, int64_t instant_us);
  int64_t day_of(int64_t instant_us);
  model::Result<void> add_charge(uint32_t group, const Charge& charge, const Billable& request);
  model::Result<void> add_extras(uint32_t group);
  model::Result<void> list_charges(const Charge& charge, std::vector<BillLine>& charges) const;
  model::Result<void> list_extras(std::vector<BillLine>& charges) const;
  model::Result<void> add_unpriced(std::string_view model, Unpriced reason);

  Pricer pricer_;
  BillOptions options_;
  std::vector<size_t> currencies_;  // positions among the pricer's
  std::optional<Zone> zone_;        // of days
  OffsetStretch stretch_{.from_s = 0, .until_s = 0};
  std::unordered_map<GroupKey<std::string>, uint32_t, GroupHash, GroupEqual> group_of_;
  std::vector<BillGroup> groups_;  // one where the bill is not split
  // By group and cell, or extra, in one word: the group in the upper half.
  std::unordered_map<uint64_t, CellSums> cell_sums_;
  std::map<uint64_t, UInt128> extra_sums_;
  std::map<std::pair<std::string, Unpriced>, uint64_t, std::less<>> unpriced_;
};

}  // namespace quire::prices
