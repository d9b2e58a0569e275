// How far a database has come, in a file beside it: PATH.count, for the database PATH. RocksDB
// numbers its changes and never goes back; a log that was emptied, or lost with its name, opens as
// one that never held more. The number here was durable in the database before it was written, so
// one that opens with a lower number has lost changes.
//
// The file is replaced by rename. What does not parse says nothing. Threads: any; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rocksdb {
class Env;
class Status;
}  // namespace rocksdb

namespace quire::tiering {

inline constexpr const char* kDatabaseCountSuffix = ".count";

std::string count_file_bytes(uint64_t count);
std::optional<uint64_t> parse_count_file(std::string_view bytes);

std::optional<uint64_t> read_count(rocksdb::Env* env, const std::string& path);
// False: it says what it said before, or nothing.
bool write_count(rocksdb::Env* env, const std::string& path, uint64_t count);
// Durable when it returns true; also when there was none.
bool remove_count(rocksdb::Env* env, const std::string& path);
// The name of `path` in its directory becomes durable. (RocksDB syncs names in its own alone.)
rocksdb::Status sync_parent(rocksdb::Env* env, const std::string& path);

}  // namespace quire::tiering
