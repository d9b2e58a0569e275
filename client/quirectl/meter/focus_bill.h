// A bill's charges as rows of FOCUS: what `meter export --format focus --book` writes.
//
// 1. Rows are the charges of which `meter bill` makes its lines: the same requests, the same
// prices,
//    the same rules. A receipt is a row for each kind of tokens that is charged, and nothing of it
//    is in two rows. What is not billed (a turn that was tried again) has none.
// 2. Costs are exact, but those of storage, whose prices are by the hour: they are rounded to 1e-24
//    of a currency unit, half to even. So rows add up to the bill before it is rounded, but for
//    half of that a row of storage.
// 3. List, contracted, effective and billed cost are one: a price book has one price for a charge.
// 4. A request that the book has no price for is usage alone, as FocusRows writes it.
//
// Rows stand in the order in which a bill is made: turns that were cut short where nothing can
// follow any more, and storage an hour later.
#pragma once

#include <ostream>
#include <string>

#include "client/quirectl/meter/focus_rows.h"
#include "model/prices/receipt_bill.h"

namespace quire::client {

class FocusBill final : public prices::BilledListener {
 public:
  // `out` outlives it.
  FocusBill(FocusOptions options, std::ostream& out)
      : writer_(rows_, std::move(options)), out_(out) {}

  void header() { writer_.header(); }
  void receipt(const prices::BilledReceipt& billed) override;
  void storage(const prices::BilledStorage& billed) override;
  // Writes what waits. Errors are the stream's.
  void flush();

 private:
  void append(FocusCharge charge, const prices::BillLine& line);

  std::string rows_;
  FocusRows writer_;
  std::ostream& out_;
};

}  // namespace quire::client
