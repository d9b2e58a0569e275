// `quirectl meter bill` and `whatif`: what the ledger's requests cost by a price book, and what
// they would cost by another one.
#pragma once

#include <iosfwd>

#include "client/quirectl/meter/meter_options.h"
#include "model/prices/receipt_bill.h"

namespace quire::client {

// What the ledger says that it has no receipts of, as far as it concerns the time that is billed.
struct UnbilledCounts {
  uint64_t lost_receipts = 0;  // while the device took no writes; whose they were is lost, too
  uint64_t unknown_spans = 0;  // of time, in which turns may be missing
  uint64_t unknown_us = 0;     // these together
};

struct LedgerBill {
  prices::Bill bill;
  prices::ReceiptBillCounts counts;
  UnbilledCounts unbilled;
  uint64_t faults = 0;  // of the ledger, as far as it was read
};

// The bill by `book_path` of what `from`, `to` and `tenant` leave. Faults of the ledger are told on
// `err`, charges to `listener`. kInvalidArgument: the book is none, or the options name nothing
// that exists.
model::Result<LedgerBill> bill_ledger(const MeterOptions& options, const std::string& book_path,
                                      std::ostream& err,
                                      prices::BilledListener* listener = nullptr);
// kExitOk, or what keeps the bill from being whole.
int exit_code_of(const LedgerBill& made);

// Prints it. kExitFailed: something has no price; kExitDegraded: the ledger is not whole, and so
// the bill may not be.
int run_meter_bill(const MeterOptions& options, std::ostream& out, std::ostream& err);
// Both bills, and what lies between their totals.
int run_meter_whatif(const MeterOptions& options, std::ostream& out, std::ostream& err);

}  // namespace quire::client
