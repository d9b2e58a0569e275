// Reads one [[price]] of a book. All: kInvalidArgument, "path:line: text".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/prices/price_book.h"
#include "model/result.h"
#include "model/toml_table.h"

namespace quire::prices {

// 'from', and 'until' where it is there.
model::Result<Validity> read_validity(const model::TomlTable& table);
// A text of a number with at most six digits behind the point.
model::Result<Decimal> read_price(const model::TomlTable& table, std::string_view key);
model::Result<std::string> read_currency(const model::TomlTable& table);
model::Result<PriceEntry> read_price_entry(const model::TomlTable& table,
                                           const std::vector<Schedule>& schedules);

}  // namespace quire::prices
