// What lies in the pool, and how it is called. Fixed little-endian structs, each with its CRC32C.
//
//   d/ROOT/WRITER-NUMBER     a run: [RunHeader][ExtentHeader, pages][ExtentHeader, pages]...
//                            pieces of kPieceBytes behind the first: d/ROOT/WRITER-NUMBER.1, .2 ...
//   i/ROOT/KEY               index of a segment of chains: entries (kind, key) -> PlaceRecord
//   e/SCOPE                  the epoch of a domain's, tenant's and namespace's weights
//   p/probe                  written and read by probes
//
// An object of the cache is named by (root hash, key, kind): its entry is. Chains are cut into
// segments of kSegmentBlocks blocks by depth; a segment is named by the key of its first span, so
// that one who has the chain knows the names of all its segments. (By the span before it,
// everything below a root would begin in one object.) What stands above the first span, a
// checkpoint in the first block, is in the segment "0" of its root.
//
// Order: a run is durable before its entries are; entries go before their run does. So an entry
// without a run is the rest of a removal, and a run without entries that of a write: both are
// misses, and swept. Names of runs are their writer's alone, and a run never changes.
// ExtentHeader and page layout are those of the SSD (tiering/disk/ssd_format.h), not encoded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "cache/tree/namespace_table.h"
#include "cache/tree/node.h"
#include "model/hash256.h"
#include "model/limits.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

inline constexpr uint32_t kSegmentBlocks = 64;
inline constexpr uint64_t kPieceBytes = 16ull << 20;
inline constexpr uint32_t kMaxObjectsPerRun = 16;
inline constexpr uint64_t kRunMagic = 0x4e55'5245'5249'5551ull;  // "QUIRERUN"
inline constexpr uint16_t kClusterFormat = 1;

// Who wrote a run, and which of its runs: names it below its root.
struct RunName {
  uint64_t writer = 0;  // random, of one life of a daemon
  uint64_t number = 0;
  friend auto operator<=>(const RunName&, const RunName&) = default;
};

// An object in a run.
struct RunObject {
  model::Hash256 key;
  uint64_t offset = 0;  // of its ExtentHeader, in the run
  uint64_t bytes = 0;   // with that header
  uint32_t units = 0;
  uint8_t kind = 0;  // cache::NodeKind
  std::array<uint8_t, 3> zero{};
  friend bool operator==(const RunObject&, const RunObject&) = default;
};
static_assert(sizeof(RunObject) == 56);

struct RunHeader {
  uint64_t magic = kRunMagic;
  uint16_t format = kClusterFormat;
  uint16_t object_count = 0;
  uint32_t crc32c = 0;  // of the whole header with this field 0
  RunName name;
  uint64_t run_bytes = 0;     // all pieces together
  uint64_t written_at_s = 0;  // since 1970
  uint64_t weights_epoch = 0;
  model::Hash256 root;
  model::Hash256 layout_digest;
  model::Hash256 segment;  // key of the segment's first span; zeros: "0"
  std::array<char, model::kMaxNameBytes + 1> domain{};
  std::array<char, model::kMaxNameBytes + 1> tenant{};
  std::array<char, model::kMaxNameBytes + 1> namespace_name{};
  std::array<RunObject, kMaxObjectsPerRun> objects{};
  std::array<uint8_t, 4096 - 1240> zero{};
};
static_assert(sizeof(RunHeader) == 4096 && std::is_trivially_copyable_v<RunHeader>);

// The value of an entry.
struct PlaceRecord {
  uint16_t format = kClusterFormat;
  uint8_t kind = 0;
  uint8_t zero = 0;
  uint32_t crc32c = 0;  // of the record with this field 0, behind root hash and key
  RunName run;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t weights_epoch = 0;
  uint32_t units = 0;
  uint32_t index = 0;  // in its run
};
static_assert(sizeof(PlaceRecord) == 56 && std::is_trivially_copyable_v<PlaceRecord>);

// Which object is meant, of all that any host ever made.
struct ObjectName {
  model::Hash256 root;
  model::Hash256 key;
  cache::NodeKind kind = cache::NodeKind::kSpan;
  friend bool operator==(const ObjectName&, const ObjectName&) = default;
};
struct HashOfName {
  size_t operator()(const ObjectName& name) const {
    return name.key.word(0) ^ name.root.word(1) ^ static_cast<size_t>(name.kind);
  }
};

// As it stands in a name: lower-case hexadecimal.
std::string run_object(const model::Hash256& root, const RunName& run, uint64_t piece);
// `segment`: key of its first span; zeros: what stands above the first span.
std::string segment_object(const model::Hash256& root, const model::Hash256& segment);
std::string epoch_object(std::string_view domain, std::string_view tenant,
                         std::string_view namespace_name);
inline constexpr const char* kProbeObject = "p/probe";
// nullopt: it is no run's first piece.
std::optional<model::Hash256> root_of_run(std::string_view object);

std::string entry_key(cache::NodeKind kind, const model::Hash256& key);
std::string sealed(PlaceRecord record, const ObjectName& name);
// nullopt: not what was sealed for this name.
std::optional<PlaceRecord> opened(const std::string& value, const ObjectName& name);

void seal(RunHeader& header);
// Whole by its own checksum, of this format, and the one that was asked for.
bool is_header_of(const RunHeader& header, const model::Hash256& root, const RunName& run);
// That this run holds that object in this place.
bool holds(const RunHeader& header, const ObjectName& name, const PlaceRecord& record);

// Epochs compare as text does: 16 digits.
std::string epoch_text(uint64_t epoch);
std::optional<uint64_t> parse_epoch(std::string_view text);

// Segment of a block; blocks count from 1, and 0 is what stands above the first.
inline uint32_t segment_of_block(uint32_t block) {
  return block == 0 ? 0 : (block - 1) / kSegmentBlocks;
}
inline uint32_t first_block_of(uint32_t segment) { return segment * kSegmentBlocks + 1; }
inline uint64_t piece_count(uint64_t run_bytes) {
  return (run_bytes + kPieceBytes - 1) / kPieceBytes;
}

}  // namespace quire::tiering
