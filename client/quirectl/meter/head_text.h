// A ledger's head as a line that can be signed off, kept elsewhere, and checked later:
//
//   quire-ledger-head v1 EPOCH.SEQUENCE HASH TIME
//
// HASH binds every entry up to that one; TIME is when it was written, for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/receipts/ledger_block.h"
#include "model/result.h"

namespace quire::client {

std::string head_text(const model::LedgerHead& head, int64_t written_us);
// kInvalidArgument: it is no such line.
model::Result<model::LedgerHead> parse_head(std::string_view line);
// What --head was given: the line itself, or the name of a file that begins with it. kNotFound:
// neither.
model::Result<model::LedgerHead> read_head_argument(const std::string& argument);

}  // namespace quire::client
