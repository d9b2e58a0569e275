#include "client/quirectl/meter/focus_bill.h"

#include <algorithm>
#include <array>

#include "client/quirectl/meter/stamp.h"
#include "model/check.h"
#include "model/prices/decimal.h"

namespace quire::client {

using prices::BillLine;
using prices::Decimal;

namespace {

constexpr size_t kFocusRowsAtOnce = 1 << 16;

constexpr uint64_t kMillion = 1'000'000;
constexpr uint64_t kHour = 3600;

// How FOCUS says what the bill's price is of: it takes a number before a unit, or a time behind it,
// but never both. So a price of a million token hours is told by the token hour.
struct PricedUnit {
  std::string_view price_of;  // of the bill's line
  std::string_view used;      // ConsumedUnit
  std::string_view priced;    // PricingUnit
  uint64_t price_parts;       // so many of it are in `price_of`, whose price is divided by that
  uint64_t used_parts;  // so many of what is used are one of it; divides a million or Sum::kParts
};
constexpr std::array kPricedUnits{
    PricedUnit{"1M tokens", "Tokens", "1000000 Tokens", 1, kMillion},
    PricedUnit{"1M token hours", "Token-Seconds", "Token-Hours", kMillion, kHour},
    PricedUnit{"TiB hour", "B-Seconds", "TiB-Hours", 1, kHour << 40},
    PricedUnit{"call", "Requests", "Requests", 1, 1}};

const PricedUnit& unit_of(const BillLine& line) {
  const auto* found = std::find_if(kPricedUnits.begin(), kPricedUnits.end(), [&](const auto& unit) {
    return unit.price_of == line.price_of;
  });
  QUIRE_CHECK(found != kPricedUnits.end());  // the pricer knows no other
  return *found;
}

// By the kind of tokens.
constexpr std::array<std::string_view, prices::kTokenKinds> kTokenMeters{
    "hit_tokens", "explicit_hit_tokens", "missed_tokens", "written_tokens", "output_tokens"};

std::string meter_of(const BillLine& line) {
  if (line.token_kind) return std::string(kTokenMeters[static_cast<size_t>(*line.token_kind)]);
  std::string meter = line.unit == "calls" ? line.kind + "_calls" : line.unit;
  std::replace(meter.begin(), meter.end(), ' ', '_');
  return meter;
}

// With a point, which says that the column is of decimals.
std::string decimal_text(const Decimal& decimal) {
  std::string text = decimal.text();
  return text.find('.') == text.npos ? text + ".0" : text;
}

std::string decimal_text(const prices::Sum& sum) {
  return decimal_text(sum.rounded(Decimal::kDigits));
}

std::string pricing_quantity(const BillLine& line, const PricedUnit& unit) {
  const Decimal part =
      unit.used_parts == kMillion ? *Decimal::one().over(kMillion) : Decimal::one();
  const uint64_t divisor = unit.used_parts == kMillion ? 1 : unit.used_parts;
  const auto quantity = prices::Sum::product(part, line.quantity, divisor);
  // More than 8e13 units have no exact decimal, and an amount only where they cost nothing.
  return quantity.ok() ? decimal_text(*quantity) : std::string();
}

}  // namespace

void FocusBill::append(FocusCharge charge, const BillLine& line) {
  const std::string meter = meter_of(line);
  charge.meter = meter;
  const PricedUnit& unit = unit_of(line);
  charge.unit = unit.used;
  charge.quantity = prices::whole_text(line.quantity) + ".0";
  charge.cost = FocusCost{.currency = line.currency,
                          .unit_price = decimal_text(*line.price.over(unit.price_parts)),
                          .pricing_unit = std::string(unit.priced),
                          .pricing_quantity = pricing_quantity(line, unit),
                          .amount = decimal_text(line.amount),
                          .rule = line.rule + " (line " + std::to_string(line.book_line) + ")"};
  writer_.append(charge);
}

void FocusBill::receipt(const prices::BilledReceipt& billed) {
  const ReceiptView view{billed.position, billed.record, billed.texts};
  if (billed.charges.empty()) writer_.receipt(view);
  for (const BillLine& line : billed.charges) {
    FocusCharge charge = FocusRows::charge_of(view);
    // How long it is kept is a matter of what is written, and of what is then held, alone.
    if (!line.token_kind || *line.token_kind == prices::TokenKind::kWrite) {
      charge.retention = view.text(model::ReceiptText::kRetention);
    }
    append(std::move(charge), line);
  }
  if (rows_.size() >= kFocusRowsAtOnce) flush();
}

void FocusBill::storage(const prices::BilledStorage& billed) {
  for (const BillLine& line : billed.charges) {
    append({.position = std::nullopt,
            .from_us = billed.stored.begin_us,
            .to_us = billed.stored.end_us - kSecondUs,
            .uid = billed.uid,
            .payer = billed.stored.tenant,
            .sku = "any",
            .retention = billed.retention},
           line);
  }
}

void FocusBill::flush() {
  out_.write(rows_.data(), static_cast<std::streamsize>(rows_.size()));
  rows_.clear();
}

}  // namespace quire::client
