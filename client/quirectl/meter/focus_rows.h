// FOCUS 1.3, the Cost and Usage dataset, as CSV: a row a charge.
//
// A charge has one SKU, one quantity and one price, so a receipt is a row for each meter that it
// moved: tokens hit, replayed, missed, given out and written. A storage record is two: byte-seconds
// and token-seconds. Meters of one receipt overlap (what is written was missed first): a sum over
// SkuMeter says nothing.
//
// Without prices there is usage alone: costs, which must not be null, are 0, unit prices are null.
// SkuId and SkuPriceId name what would be priced, never how much it costs, so they are the same
// with prices and without. Columns of FOCUS stand first, in order of their names, then x_ ones.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "client/quirectl/meter/row_writer.h"

namespace quire::client {

// What a charge costs: decimals, as they are to stand there, in the currency of the bill.
struct FocusCost {
  std::string list_unit_price;  // of one unit of the meter
  std::string contracted_unit_price;
  std::string list_cost;  // list_unit_price times the quantity
  std::string contracted_cost;
  std::string effective_cost;
  std::string billed_cost;
};

// Of a receipt and one of its meters ("hit_tokens", as SkuId ends); none: nothing is known of it.
using FocusPrices =
    std::function<std::optional<FocusCost>(const ReceiptView& receipt, std::string_view meter)>;

struct FocusOptions {
  std::string provider = "Quire";  // who serves, hosts and bills
  std::string currency = "USD";    // ISO 4217
  FocusPrices prices;              // none: usage alone
};

class FocusRows : public RowWriter {
 public:
  FocusRows(std::string& rows, FocusOptions options)
      : RowWriter(rows), options_(std::move(options)) {}
  void header() override;
  void receipt(const ReceiptView& receipt) override;
  void storage(const StorageView& storage) override;

 private:
  struct Charge;
  void append(const Charge& charge);
  FocusOptions options_;
};

}  // namespace quire::client
