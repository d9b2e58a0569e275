// Bills (model/prices/bill.h) for people and for programs. Both end in a line feed.
#pragma once

#include <string>
#include <string_view>

#include "model/prices/bill.h"
#include "model/result.h"

namespace quire::client {

// Of a bill's lines as CSV; those of a split one follow.
inline constexpr std::string_view kBillColumns =
    "currency,kind,quantity,unit,price,price_of,amount,rule,book_line";
inline constexpr std::string_view kWhatifColumns =
    "part,currency,kind,quantity,unit,price,price_of,amount,rule,book_line";

// Under a header for each part of a split bill, a line a rule; then totals, and what has no price.
// kInvalidArgument: an amount does not fit.
model::Result<std::string> bill_table(const prices::Bill& bill);
// One object. Money and quantities are texts of decimal digits, so that no reader rounds them;
// amounts of lines and "exact" ones of totals have all digits, the others those of the currency.
model::Result<std::string> bill_json(const prices::Bill& bill);

}  // namespace quire::client
