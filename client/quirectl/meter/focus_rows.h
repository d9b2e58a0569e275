// FOCUS 1.3, the Cost and Usage dataset, as CSV: a row a charge.
//
// A charge has one SKU, one quantity and one price, so a receipt is a row for each meter that it
// moved: tokens hit, replayed, missed, given out and written. A storage record is two: byte-seconds
// and token-seconds. Meters of one receipt overlap (what is written was missed first): a sum over
// SkuMeter says nothing.
//
// That is usage alone: costs, which must not be null, are 0, unit prices are null. Charges of a
// bill, which do not overlap, are made by FocusBill (focus_bill.h). SkuId and SkuPriceId name what
// is priced, never how much it costs, so they are the same with prices and without. Columns of
// FOCUS stand first, in order of their names, then x_ ones.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/quirectl/meter/row_writer.h"

namespace quire::client {

// What a charge costs. Decimals, as they are to stand there.
struct FocusCost {
  std::string currency;
  std::string unit_price;  // of one `pricing_unit`
  std::string pricing_unit;
  std::string pricing_quantity;
  std::string amount;  // unit price times pricing quantity
  std::string rule;    // by which it is charged, for people
};

// What a row says; texts lent.
struct FocusCharge {
  std::optional<model::LedgerPosition> position;  // none: of several entries
  int64_t from_us = 0;
  int64_t to_us = 0;  // its second is the last one
  uint32_t uid = 0;
  std::string_view payer;
  std::string_view sku;    // what is used: a model, or a tier that holds
  std::string_view meter;  // "hit_tokens"
  std::string_view unit;
  std::string quantity;  // a decimal with its point, which says that the column is of decimals
  std::string_view service_tier;
  std::string_view retention;
  std::string_view namespace_name;
  std::string request_id;
  std::string session;
  std::string turn;
  std::optional<FocusCost> cost;
};

struct FocusOptions {
  std::string provider = "Quire";  // who serves, hosts and bills
  std::string currency = "USD";    // of rows without a cost, ISO 4217
};

class FocusRows : public RowWriter {
 public:
  FocusRows(std::string& rows, FocusOptions options)
      : RowWriter(rows), options_(std::move(options)) {}
  void header() override;
  void receipt(const ReceiptView& receipt) override;
  void storage(const StorageView& storage) override;

  void append(const FocusCharge& charge);
  // All of a receipt that is not of one meter.
  static FocusCharge charge_of(const ReceiptView& receipt);

 private:
  FocusOptions options_;
};

}  // namespace quire::client
