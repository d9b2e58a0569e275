#include "tiering/cluster/cluster_format.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "model/chain_hash.h"
#include "model/hex_text.h"
#include "tiering/io/crc_copy.h"

namespace quire::tiering {

using model::Hash256;

namespace {

constexpr std::string_view kRunPrefix = "d/";
constexpr size_t kHexHash = 64;

std::string hex(const Hash256& hash) { return model::hex_text(hash.bytes); }

// Most significant digit first.
std::string hex(uint64_t number) {
  std::array<uint8_t, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(number >> (56 - 8 * i));
  return model::hex_text(bytes);
}

template <typename Struct>
uint32_t checksum(Struct block, uint32_t before = 0) {
  block.crc32c = 0;
  return crc32c(reinterpret_cast<const std::byte*>(&block), sizeof(block), before);
}

uint32_t checksum(const PlaceRecord& record, const ObjectName& name) {
  const auto* root = reinterpret_cast<const std::byte*>(name.root.bytes.data());
  const auto* key = reinterpret_cast<const std::byte*>(name.key.bytes.data());
  return checksum(record, crc32c(key, sizeof(Hash256), crc32c(root, sizeof(Hash256))));
}

}  // namespace

std::string run_object(const Hash256& root, const RunName& run, uint64_t piece) {
  std::string name(kRunPrefix);
  name += hex(root) + "/" + hex(run.writer) + "-" + hex(run.number);
  if (piece > 0) name += "." + std::to_string(piece);
  return name;
}

std::string segment_object(const Hash256& root, const Hash256& segment) {
  return "i/" + hex(root) + "/" + (segment == Hash256{} ? "0" : hex(segment));
}

// A hash of the three that no other use of root_hash() can meet: its salt is one that no client
// has, as those are not empty of a layout.
std::string epoch_object(std::string_view domain, std::string_view tenant,
                         std::string_view namespace_name) {
  return "e/" + hex(model::root_hash({.domain = domain,
                                      .tenant = tenant,
                                      .namespace_name = namespace_name,
                                      .weights_epoch = 0,
                                      .layout_digest = {},
                                      .salt = "epoch"}));
}

std::optional<Hash256> root_of_run(std::string_view object) {
  const bool is_first_piece = object.substr(0, kRunPrefix.size()) == kRunPrefix &&
                              object.size() > kRunPrefix.size() + kHexHash &&
                              object.find('.') == std::string_view::npos;
  if (!is_first_piece) return std::nullopt;
  Hash256 root;
  for (size_t i = 0; i < root.bytes.size(); ++i) {
    const char* digits = object.data() + kRunPrefix.size() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, root.bytes[i], 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
  }
  return root;
}

std::string entry_key(cache::NodeKind kind, const Hash256& key) {
  std::string text(1, kind == cache::NodeKind::kSpan ? 's' : 'c');
  text.append(reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size());
  return text;
}

std::string sealed(PlaceRecord record, const ObjectName& name) {
  record.kind = static_cast<uint8_t>(name.kind);
  record.crc32c = checksum(record, name);
  return {reinterpret_cast<const char*>(&record), sizeof(record)};
}

std::optional<PlaceRecord> opened(const std::string& value, const ObjectName& name) {
  PlaceRecord record;
  if (value.size() != sizeof(record)) return std::nullopt;
  std::memcpy(&record, value.data(), sizeof(record));
  const bool good = record.format == kClusterFormat && record.crc32c == checksum(record, name) &&
                    record.kind == static_cast<uint8_t>(name.kind) &&
                    record.index < kMaxObjectsPerRun;
  return good ? std::optional(record) : std::nullopt;
}

void seal(RunHeader& header) { header.crc32c = checksum(header); }

bool is_header_of(const RunHeader& header, const Hash256& root, const RunName& run) {
  return header.magic == kRunMagic && header.format == kClusterFormat &&
         header.crc32c == checksum(header) && header.object_count <= kMaxObjectsPerRun &&
         header.root == root && header.name == run;
}

bool holds(const RunHeader& header, const ObjectName& name, const PlaceRecord& record) {
  if (!is_header_of(header, name.root, record.run) || record.index >= header.object_count) {
    return false;
  }
  const RunObject& object = header.objects[record.index];
  return object.key == name.key && object.kind == static_cast<uint8_t>(name.kind) &&
         object.units == record.units && object.offset == record.offset &&
         object.bytes == record.bytes && header.weights_epoch == record.weights_epoch;
}

std::string epoch_text(uint64_t epoch) { return hex(epoch); }

std::optional<uint64_t> parse_epoch(std::string_view text) {
  uint64_t epoch = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, epoch, 16);
  if (text.size() != 16 || error != std::errc() || at != end) return std::nullopt;
  return epoch;
}

}  // namespace quire::tiering
