// Bytes of the manifest's records (drawn in tiering/disk/manifest.h). Knows nothing of RocksDB.
//
// Keys: a letter, then big-endian integers. Values: a version byte, then little-endian integers,
// hashes and length-prefixed names; a value has exactly the length that its content says. Reading
// trusts nothing: what does not parse to the last byte is nullopt. Threads: any; no state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tiering/disk/manifest.h"

namespace quire::tiering {

inline constexpr char kEpochPrefix = 'e';
inline constexpr char kRootPrefix = 'r';
inline constexpr char kRunPrefix = 's';
inline constexpr char kTruncationPrefix = 't';
inline constexpr uint8_t kRecordVersion = 1;
inline constexpr uint8_t kClassVersion = 2;  // of a run: the same behind a retention class's name

// How a namespace is named in the keys of epochs: each tenant has an epoch of its own in it. Keys
// of earlier versions hold the namespace alone; they count for tenants that have none of their own.
std::string epoch_name(std::string_view namespace_name, std::string_view tenant);
std::string epoch_key(std::string_view domain, std::string_view namespace_name);
std::string root_key(uint32_t id);
// prefix: kRunPrefix or kTruncationPrefix; both have the same key after it.
std::string run_key(char prefix, const RunKey& key);

std::string epoch_value(uint64_t epoch);
std::string root_value(const RootRecord& root);
std::string run_value(const RunRecord& run);
std::string truncation_value(uint32_t left);

std::optional<std::pair<std::string, std::string>> parse_epoch_key(std::string_view key);
std::optional<uint64_t> parse_epoch_value(std::string_view value);
std::optional<RootRecord> parse_root(std::string_view key, std::string_view value);
std::optional<uint32_t> parse_truncation_value(std::string_view value);
// Fills `run`, whose memory is used again: false, and `run` is anything, when it does not parse.
bool parse_run(std::string_view key, std::string_view value, RunRecord& run);

}  // namespace quire::tiering
