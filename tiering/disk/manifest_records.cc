#include "tiering/disk/manifest_records.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "cache/tree/prefix_tree.h"
#include "model/check.h"
#include "model/limits.h"

namespace quire::tiering {

using model::Hash256;

namespace {

static_assert(std::endian::native == std::endian::little,
              "values hold integers as they are in memory");

constexpr size_t kRunKeyBytes = 1 + 4 + 4 + 1 + 4;

void put_big_endian(std::string& key, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(value >> shift);
}

template <typename T>
void put(std::string& value, T field) {
  static_assert(std::is_integral_v<T>);
  value.append(reinterpret_cast<const char*>(&field), sizeof(field));
}

void put_hash(std::string& value, const Hash256& hash) {
  value.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
}

void put_name(std::string& value, std::string_view name) {
  QUIRE_CHECK(name.size() <= model::kMaxNameBytes);
  put(value, static_cast<uint8_t>(name.size()));
  value.append(name);
}

// The first short read makes it fail for good: later reads give zeros, so that callers ask once.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T get() {
    T field = 0;
    if (const char* bytes = take(sizeof(T))) std::memcpy(&field, bytes, sizeof(T));
    return field;
  }
  uint32_t get_big_endian() {
    const auto little = get<uint32_t>();
    return __builtin_bswap32(little);
  }
  void get_hash(Hash256& hash) {
    if (const char* bytes = take(sizeof(hash.bytes))) {
      std::memcpy(hash.bytes.data(), bytes, sizeof(hash.bytes));
    }
  }
  std::string get_name() {
    const auto size = get<uint8_t>();
    if (size > model::kMaxNameBytes) failed_ = true;
    const char* bytes = take(size);
    return bytes == nullptr ? std::string() : std::string(bytes, size);
  }
  bool at_end() const { return !failed_ && rest_.empty(); }
  size_t left() const { return failed_ ? 0 : rest_.size(); }

 private:
  const char* take(size_t size) {
    failed_ = failed_ || rest_.size() < size;
    if (failed_) return nullptr;
    const char* bytes = rest_.data();
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool failed_ = false;
};

bool parse_run_key(std::string_view key, RunKey& run) {
  if (key.size() != kRunKeyBytes) return false;
  RecordReader reader(key.substr(1));
  run.root = reader.get_big_endian();
  run.units = reader.get_big_endian();
  run.kind = reader.get<uint8_t>();
  run.slot.value = reader.get_big_endian();
  return true;
}

// A run lies in one region, and is spans, or one checkpoint.
bool plausible(const RunKey& key, size_t count) {
  const bool span = key.kind == static_cast<uint8_t>(cache::NodeKind::kSpan);
  const bool checkpoint = key.kind == static_cast<uint8_t>(cache::NodeKind::kCheckpoint);
  return (span || (checkpoint && count == 1)) && count >= 1 && count <= kMaxRunObjects &&
         key.slot.region() < kMaxRegions && key.slot.index() + count <= kMaxSlotsPerRegion;
}

bool parse_more(RecordReader& reader, RunRecord& run) {
  const auto count = reader.get<uint16_t>();
  if (count == 0 || count > kMaxMoreRegions || reader.left() != count * sizeof(uint16_t)) {
    return false;
  }
  for (size_t i = 0; i < count; ++i) run.more.push_back(reader.get<uint16_t>());
  return std::all_of(run.more.begin(), run.more.end(),
                     [](uint16_t region) { return region < kMaxRegions; });
}

}  // namespace

std::string epoch_name(std::string_view namespace_name, std::string_view tenant) {
  std::string name(namespace_name);
  name.append(1, '\0').append(tenant);
  return name;
}

std::string epoch_key(std::string_view domain, std::string_view namespace_name) {
  std::string key(1, kEpochPrefix);
  key.append(domain).append(1, '\0').append(namespace_name);
  return key;
}

std::string root_key(uint32_t id) {
  std::string key(1, kRootPrefix);
  put_big_endian(key, id);
  return key;
}

std::string run_key(char prefix, const RunKey& run) {
  std::string key(1, prefix);
  put_big_endian(key, run.root);
  put_big_endian(key, run.units);
  key += static_cast<char>(run.kind);
  put_big_endian(key, run.slot.value);
  return key;
}

std::string epoch_value(uint64_t epoch) {
  std::string value(1, static_cast<char>(kRecordVersion));
  put(value, epoch);
  return value;
}

std::string root_value(const RootRecord& root) {
  std::string value(1, static_cast<char>(kRecordVersion));
  put_hash(value, root.hash);
  put_hash(value, root.layout_digest);
  put(value, root.weights_epoch);
  put_name(value, root.domain);
  put_name(value, root.tenant);
  put_name(value, root.namespace_name);
  return value;
}

std::string run_value(const RunRecord& run) {
  QUIRE_CHECK(plausible(run.key, run.keys.size()));
  std::string value(1, static_cast<char>(run.retention.empty() ? kRecordVersion : kClassVersion));
  if (!run.retention.empty()) put_name(value, run.retention);
  put(value, run.generation);
  put(value, run.unit_step);
  put(value, run.parent_units);
  put(value, run.owner_tag);
  put(value, static_cast<uint8_t>(run.kept));
  put_hash(value, run.parent_key);
  put(value, static_cast<uint8_t>(run.keys.size()));
  for (const Hash256& key : run.keys) put_hash(value, key);
  if (run.slot_bytes != 0 || !run.more.empty()) put(value, run.slot_bytes);
  if (run.more.empty()) return value;
  QUIRE_CHECK(run.more.size() <= kMaxMoreRegions && run.keys.size() == 1);
  put(value, static_cast<uint16_t>(run.more.size()));
  for (const uint16_t region : run.more) put(value, region);
  return value;
}

std::string truncation_value(uint32_t left) {
  std::string value(1, static_cast<char>(kRecordVersion));
  put(value, left);
  return value;
}

std::optional<std::pair<std::string, std::string>> parse_epoch_key(std::string_view key) {
  const size_t zero = key.find('\0');
  if (!key.starts_with(kEpochPrefix) || zero == std::string_view::npos) return {};
  const std::string_view domain = key.substr(1, zero - 1);
  const std::string_view namespace_name = key.substr(zero + 1);
  const size_t end = std::min(namespace_name.find('\0'), namespace_name.size());
  const std::string_view tenant = namespace_name.substr(std::min(end + 1, namespace_name.size()));
  if (domain.size() > model::kMaxNameBytes || end > model::kMaxNameBytes ||
      tenant.size() > model::kMaxNameBytes || tenant.find('\0') != std::string_view::npos) {
    return {};
  }
  return std::pair(std::string(domain), std::string(namespace_name));
}

std::optional<uint64_t> parse_epoch_value(std::string_view value) {
  RecordReader reader(value);
  const bool known = reader.get<uint8_t>() == kRecordVersion;
  const auto epoch = reader.get<uint64_t>();
  if (!known || !reader.at_end()) return {};
  return epoch;
}

std::optional<RootRecord> parse_root(std::string_view key, std::string_view value) {
  if (!key.starts_with(kRootPrefix)) return {};
  RootRecord root;
  RecordReader key_reader(key.substr(1));
  root.id = key_reader.get_big_endian();
  RecordReader reader(value);
  const bool known = reader.get<uint8_t>() == kRecordVersion;
  reader.get_hash(root.hash);
  reader.get_hash(root.layout_digest);
  root.weights_epoch = reader.get<uint64_t>();
  root.domain = reader.get_name();
  root.tenant = reader.get_name();
  root.namespace_name = reader.get_name();
  if (!known || !key_reader.at_end() || !reader.at_end()) return {};
  return root;
}

std::optional<uint32_t> parse_truncation_value(std::string_view value) {
  RecordReader reader(value);
  const bool known = reader.get<uint8_t>() == kRecordVersion;
  const auto left = reader.get<uint32_t>();
  if (!known || !reader.at_end()) return {};
  return left;
}

bool parse_run(std::string_view key, std::string_view value, RunRecord& run) {
  if (!parse_run_key(key, run.key)) return false;
  RecordReader reader(value);
  const auto version = reader.get<uint8_t>();
  const bool known = version == kRecordVersion || version == kClassVersion;
  run.retention = version == kClassVersion ? reader.get_name() : std::string();
  run.generation = reader.get<uint64_t>();
  run.unit_step = reader.get<uint32_t>();
  run.parent_units = reader.get<uint32_t>();
  run.owner_tag = reader.get<uint32_t>();
  const auto kept = reader.get<uint8_t>();
  run.kept = kept == 1;
  reader.get_hash(run.parent_key);
  const size_t count = reader.get<uint8_t>();
  const bool named = run.retention.empty() != (version == kClassVersion) &&
                     run.retention.size() <= model::kMaxRetentionBytes;
  if (!known || !named || kept > 1 || !plausible(run.key, count)) return false;
  if (reader.left() < count * sizeof(Hash256)) return false;
  run.keys.resize(count);
  for (Hash256& hash : run.keys) reader.get_hash(hash);
  run.slot_bytes = 0;
  run.more.clear();
  if (reader.at_end()) return true;
  run.slot_bytes = reader.get<uint64_t>();
  if (run.slot_bytes % kSsdBlockBytes != 0) return false;
  if (reader.at_end()) return run.slot_bytes != 0;
  return parse_more(reader, run) && count == 1 && run.key.slot.index() == 0;
}

void ManifestBatch::put_epoch(std::string_view domain, std::string_view namespace_name,
                              uint64_t epoch) {
  changes_.put(epoch_key(domain, namespace_name), epoch_value(epoch));
}

void ManifestBatch::put_root(const RootRecord& root) {
  changes_.put(root_key(root.id), root_value(root));
}

void ManifestBatch::erase_root(uint32_t id) { changes_.erase(root_key(id)); }

void ManifestBatch::put_run(const RunRecord& run) {
  changes_.put(run_key(kRunPrefix, run.key), run_value(run));
}

void ManifestBatch::truncate_run(const RunKey& run, uint32_t left) {
  if (left > 0) {
    changes_.put(run_key(kTruncationPrefix, run), truncation_value(left));
    return;
  }
  changes_.erase(run_key(kRunPrefix, run));
  changes_.erase(run_key(kTruncationPrefix, run));
}

}  // namespace quire::tiering
