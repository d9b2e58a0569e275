// Sums become lines and totals (bill.h).
#include <string>
#include <tuple>
#include <utility>

#include "model/prices/bill.h"

namespace quire::prices {

namespace {

using model::Result;

constexpr uint64_t kMillionTokens = 1'000'000;

// To the sum, and the error if it is one.
Result<void> add_amount(Sum& sum, const Result<Sum>& amount) {
  if (!amount.ok()) return amount.error();
  sum = QUIRE_TRY(sum.plus(*amount));
  return {};
}

Result<BillLine> token_line(const Pricer& pricer, const PriceCell& cell, TokenKind kind,
                            uint64_t tokens) {
  const Decimal price = cell.prices[static_cast<size_t>(kind)];
  BillLine line{.group = {}, .currency = cell.entry->currency};
  line.kind = token_kind_name(kind);
  if (kind == TokenKind::kWrite) line.kind += " " + cell.rates->writes[cell.ttl].ttl;
  line.rule = pricer.rule_text(cell);
  line.book_line = cell.rates->line;
  line.quantity = tokens;
  line.unit = "tokens";
  line.price = QUIRE_TRY(price.times(kMillionTokens));
  line.price_of = "1M tokens";
  line.amount = QUIRE_TRY(Sum::product(price, tokens));
  line.token_kind = kind;
  return line;
}

Result<BillLine> extra_line(const Pricer& pricer, const PriceExtra& extra, UInt128 quantity) {
  BillLine line{.group = {}, .currency = pricer.currencies()[extra.currency]};
  line.kind = extra.name;
  line.rule = pricer.rule_text(extra);
  line.book_line = extra.valid.line;
  line.quantity = quantity;
  line.unit = extra.unit;
  line.price = extra.book_price;
  line.price_of = extra.book_price_of;
  line.amount = QUIRE_TRY(Sum::product(extra.price, quantity, extra.divisor));
  return line;
}

}  // namespace

Result<Decimal> BillTotal::saved() const {
  const Sum difference = QUIRE_TRY(all_miss.minus(amount));
  return difference.rounded(digits);
}

class BillMaker::Writer {
 public:
  explicit Writer(const BillMaker& maker) : maker_(maker), pricer_(maker.pricer_) {}

  Result<Bill> write() {
    // In any order: lines and totals are sorted by what they are.
    for (const auto& [key, sums] : maker_.cell_sums_) {
      QUIRE_TRY(add_cell(group_of(key), pricer_.cell(static_cast<uint32_t>(key)), sums));
    }
    for (const auto& [key, quantity] : maker_.extra_sums_) {
      QUIRE_TRY(add_extra(group_of(key), pricer_.extra(static_cast<uint32_t>(key)), quantity));
    }
    Bill bill;
    bill.options = maker_.options_;
    bill.vendor = pricer_.book().vendor();
    bill.book = pricer_.book().path();
    for (auto& [key, line] : lines_) bill.lines.push_back(std::move(line));
    QUIRE_TRY(add_totals(bill));
    for (const auto& [key, requests] : maker_.unpriced_) {
      bill.unpriced.push_back({key.first, key.second, requests});
    }
    return bill;
  }

 private:
  // What makes sums one line: cells that differ in the TTL of writes share all other lines.
  using LineKey = std::tuple<BillGroup, std::string, uint32_t, std::string, size_t, std::string>;

  const BillGroup& group_of(uint64_t key) const { return maker_.groups_[key >> 32]; }

  BillTotal& total_of(const BillGroup& group, const std::string& currency) {
    BillTotal& total = subtotals_[{group, currency}];
    total.group = group;
    total.currency = currency;
    total.digits = pricer_.book().digits(currency);
    return total;
  }

  // `order`: of the line among those of its rule.
  Result<void> add_line(BillLine line, size_t order) {
    QUIRE_TRY(add_amount(total_of(line.group, line.currency).amount, line.amount));
    LineKey key{line.group, line.currency, line.book_line, line.rule, order, line.kind};
    const auto found = lines_.find(key);
    if (found == lines_.end()) {
      lines_.emplace(std::move(key), std::move(line));
      return {};
    }
    found->second.quantity += line.quantity;
    return add_amount(found->second.amount, line.amount);
  }

  Result<void> add_cell(const BillGroup& group, const PriceCell& cell, const CellSums& sums) {
    for (size_t i = 0; i < kTokenKinds; ++i) {
      if (sums.tokens[i] > 0) {
        BillLine line =
            QUIRE_TRY(token_line(pricer_, cell, static_cast<TokenKind>(i), sums.tokens[i]));
        line.group = group;
        QUIRE_TRY(add_line(std::move(line), i));
      }
    }
    BillTotal& total = total_of(group, cell.entry->currency);
    total.requests += sums.requests;
    const auto price = [&](TokenKind kind) { return cell.prices[static_cast<size_t>(kind)]; };
    const uint64_t output_tokens = sums.tokens[static_cast<size_t>(TokenKind::kOutput)];
    QUIRE_TRY(
        add_amount(total.all_miss, Sum::product(price(TokenKind::kMiss), sums.prompt_tokens)));
    return add_amount(total.all_miss, Sum::product(price(TokenKind::kOutput), output_tokens));
  }

  Result<void> add_extra(const BillGroup& group, const PriceExtra& extra, UInt128 quantity) {
    BillLine line = QUIRE_TRY(extra_line(pricer_, extra, quantity));
    line.group = group;
    if (!extra.storage) {
      QUIRE_TRY(add_amount(total_of(group, line.currency).all_miss, line.amount));
    }
    return add_line(std::move(line), kTokenKinds);
  }

  // Of all groups, and of each where there is more to them.
  Result<void> add_totals(Bill& bill) {
    std::map<std::string, BillTotal> totals;
    for (const auto& [key, subtotal] : subtotals_) {
      BillTotal& total = totals[subtotal.currency];
      total.currency = subtotal.currency;
      total.digits = subtotal.digits;
      total.requests += subtotal.requests;
      QUIRE_TRY(add_amount(total.amount, subtotal.amount));
      QUIRE_TRY(add_amount(total.all_miss, subtotal.all_miss));
      if (maker_.is_split()) bill.subtotals.push_back(subtotal);
    }
    for (auto& [currency, total] : totals) bill.totals.push_back(std::move(total));
    return {};
  }

  const BillMaker& maker_;
  const Pricer& pricer_;
  std::map<LineKey, BillLine> lines_;
  std::map<std::pair<BillGroup, std::string>, BillTotal> subtotals_;
};

Result<void> BillMaker::list_charges(const Charge& charge, std::vector<BillLine>& charges) const {
  const PriceCell& cell = pricer_.cell(charge.cell);
  for (size_t i = 0; i < kTokenKinds; ++i) {
    if (charge.tokens[i] == 0) continue;
    charges.push_back(
        QUIRE_TRY(token_line(pricer_, cell, static_cast<TokenKind>(i), charge.tokens[i])));
  }
  return {};
}

Result<void> BillMaker::list_extras(std::vector<BillLine>& charges) const {
  for (const ExtraCharge& charge : pricer_.extras()) {
    charges.push_back(QUIRE_TRY(extra_line(pricer_, pricer_.extra(charge.extra), charge.quantity)));
  }
  return {};
}

Result<Bill> BillMaker::bill() const { return Writer(*this).write(); }

}  // namespace quire::prices
