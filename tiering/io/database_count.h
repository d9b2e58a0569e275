// How far a database has come, in a file beside it: PATH.count, for the database PATH. RocksDB
// numbers its changes and never goes back; a log that was emptied, or lost with its name, opens as
// one that never held more. The number here was durable in the database before it was written, so
// one that opens with a lower number has lost changes.
//
// The bytes alone; tiering/io/database.cc reads them, and replaces the file by rename. What does
// not parse says nothing. Threads: any; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quire::tiering {

inline constexpr const char* kDatabaseCountSuffix = ".count";

std::string count_file_bytes(uint64_t count);
std::optional<uint64_t> parse_count_file(std::string_view bytes);

}  // namespace quire::tiering
