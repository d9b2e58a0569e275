// Bills (model/prices/bill.h) for people and for programs. Both end in a line feed.
#pragma once

#include <string>

#include "model/prices/bill.h"
#include "model/result.h"

namespace quire::client {

// Under a header for each part of a split bill, a line a rule; then totals, and what has no price.
// kInvalidArgument: an amount does not fit.
model::Result<std::string> bill_table(const prices::Bill& bill);
// One object. Money and quantities are texts of decimal digits, so that no reader rounds them;
// amounts of lines and "exact" ones of totals have all digits, the others those of the currency.
model::Result<std::string> bill_json(const prices::Bill& bill);

}  // namespace quire::client
