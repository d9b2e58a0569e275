// What the parts of a book must be to each other (price_book.h, 1 and 3).
#pragma once

#include "model/prices/price_book.h"
#include "model/result.h"

namespace quire::prices {

// kInvalidArgument: "path:line: text".
model::Result<void> check_book(const PriceBook& book);

}  // namespace quire::prices
