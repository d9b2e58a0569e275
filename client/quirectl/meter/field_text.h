// Values as they stand in JSON, CSV and tables. Threads: any; no state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/receipts/ledger_block.h"

namespace quire::client {

// With its quotes. Text is UTF-8 and stays as it is, but for quotes, backslashes and controls.
void append_json_text(std::string& out, std::string_view text);
// RFC 4180: quoted where it holds a comma, a quote or a line end.
void append_csv_text(std::string& out, std::string_view text);
void append_number(std::string& out, uint64_t value);

// Decimal, exact.
std::string wide_text(const model::WideCount& count);
// Of microseconds whole and broken seconds, exact: "12.5", "3.0".
std::string seconds_text(const model::WideCount& count_us);

}  // namespace quire::client
