// How far a manifest has come, in a file beside it: PATH.count, for the manifest PATH. RocksDB
// numbers its changes and never goes back; a log that was emptied, or lost with its name, opens as
// one that never held more. The number here was durable in the manifest before it was written, so
// one that opens with a lower number has lost changes.
//
// Replaced by rename. What does not parse says nothing. Threads: any, one at
// a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rocksdb {
class Env;
}

namespace quire::tiering {

inline constexpr const char* kManifestCountSuffix = ".count";

std::optional<uint64_t> read_manifest_count(rocksdb::Env* env, const std::string& manifest_path);
// False: it says what it said before, or nothing.
bool write_manifest_count(rocksdb::Env* env, const std::string& manifest_path, uint64_t count);
// Durable when it returns true; also when there was none.
bool remove_manifest_count(rocksdb::Env* env, const std::string& manifest_path);

}  // namespace quire::tiering
