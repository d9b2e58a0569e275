// The canonical encoding of a layout: wire form of registration, and what the digest is taken of.
//
//   u32 magic "QLAY", u32 version, text name, u32 unit_tokens, u32 block_tokens, u32 group count,
//   each group: text name, u8 kind, u8 element_format, u64 page_bytes, u32 window_tokens, u32
//   shard,
//     u32 shard_count, u8 checkpoints, u32 checkpoint_every_tokens, u32 replay tokens,
//     u8 replay exact (0 or 1), u32 range count, each range: u32 layer, u64 offset, u64 bytes
//   text = u32 length, bytes; all integers little-endian, no padding
#include <bit>
#include <cstring>
#include <type_traits>

#include "model/chain_hash.h"
#include "model/layout.h"
#include "model/limits.h"

namespace quire::model {

namespace {

static_assert(std::endian::native == std::endian::little,
              "the encoding copies integers as they are");

constexpr uint32_t kLayoutMagic = 0x59414c51;  // "QLAY"
constexpr uint32_t kLayoutVersion = 1;
constexpr size_t kRangeBytes = 4 + 8 + 8;

class Writer {
 public:
  template <typename T>
  void put(T value) {
    static_assert(std::is_integral_v<T>);
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
  }
  void put_text(std::string_view text) {
    put(static_cast<uint32_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    bytes_.insert(bytes_.end(), bytes, bytes + text.size());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// Reads from bytes nobody vouches for. The first short read or broken bound makes the reader fail
// for good: later reads give zeros, so that callers check once. Which of the two it was, error()
// says: bytes that are not a layout, or a layout that is larger than one may be.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  T get() {
    static_assert(std::is_integral_v<T>);
    T value = 0;
    if (!reserve(sizeof(T))) return value;
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  std::string get_text() {
    const size_t length = get_count(kMaxNameBytes, 1, "bytes of a name");
    std::string text(reinterpret_cast<const char*>(rest_.data()), length);
    rest_ = rest_.subspan(length);
    return text;
  }
  bool get_flag() {
    const auto value = get<uint8_t>();
    if (value > 1) fail();
    return value == 1;
  }
  // A length of at most `limit` items, each at least `item_bytes` long; 0 once failed.
  size_t get_count(size_t limit, size_t item_bytes, std::string_view what) {
    const size_t count = get<uint32_t>();
    // Before anything is allocated for them: the count is a peer's word, and its items must be
    // there.
    if (!reserve(count * item_bytes)) return 0;
    if (count <= limit) return count;
    broken_bound_ = std::to_string(count) + " " + std::string(what) + "; at most " +
                    std::to_string(limit) + " are allowed";
    fail();
    return 0;
  }

  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }
  Error error() const {
    if (!broken_bound_.empty()) return make_error(Errc::kInvalidLayout, broken_bound_);
    return make_error(Errc::kMalformedFrame, "encoded layout is cut short or has trailing bytes");
  }

 private:
  bool reserve(size_t bytes) {
    if (!failed_ && rest_.size() >= bytes) return true;
    fail();
    return false;
  }
  void fail() {
    failed_ = true;
    rest_ = {};
  }

  std::span<const std::byte> rest_;
  bool failed_ = false;
  std::string broken_bound_;
};

void write_group(const Group& group, Writer& writer) {
  writer.put_text(group.name);
  writer.put(static_cast<uint8_t>(group.kind));
  writer.put(static_cast<uint8_t>(group.element_format));
  writer.put(group.page_bytes);
  writer.put(group.window_tokens);
  writer.put(group.shard);
  writer.put(group.shard_count);
  writer.put(static_cast<uint8_t>(group.checkpoints));
  writer.put(group.checkpoint_every_tokens);
  writer.put(group.replay.tokens);
  writer.put(static_cast<uint8_t>(group.replay.exact));
  writer.put(static_cast<uint32_t>(group.layers.size()));
  for (const LayerRange& range : group.layers) {
    writer.put(range.layer);
    writer.put(range.offset);
    writer.put(range.bytes);
  }
}

Group read_group(Reader& reader) {
  Group group;
  group.name = reader.get_text();
  group.kind = static_cast<GroupKind>(reader.get<uint8_t>());
  group.element_format = static_cast<ElementFormat>(reader.get<uint8_t>());
  group.page_bytes = reader.get<uint64_t>();
  group.window_tokens = reader.get<uint32_t>();
  group.shard = reader.get<uint32_t>();
  group.shard_count = reader.get<uint32_t>();
  group.checkpoints = static_cast<CheckpointRule>(reader.get<uint8_t>());
  group.checkpoint_every_tokens = reader.get<uint32_t>();
  group.replay.tokens = reader.get<uint32_t>();
  group.replay.exact = reader.get_flag();
  group.layers.resize(reader.get_count(kMaxLayersPerGroup, kRangeBytes, "layer ranges of a group"));
  for (LayerRange& range : group.layers) {
    range.layer = reader.get<uint32_t>();
    range.offset = reader.get<uint64_t>();
    range.bytes = reader.get<uint64_t>();
  }
  return group;
}

}  // namespace

std::vector<std::byte> encode(const Layout& layout) {
  Writer writer;
  writer.put(kLayoutMagic);
  writer.put(kLayoutVersion);
  writer.put_text(layout.name);
  writer.put(layout.unit_tokens);
  writer.put(layout.block_tokens);
  writer.put(static_cast<uint32_t>(layout.groups.size()));
  for (const Group& group : layout.groups) write_group(group, writer);
  return writer.take();
}

Result<Layout> decode_layout(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  if (reader.get<uint32_t>() != kLayoutMagic) {
    return make_error(Errc::kMalformedFrame, "not an encoded layout: wrong magic number");
  }
  const auto version = reader.get<uint32_t>();
  if (!reader.failed() && version != kLayoutVersion) {
    return make_error(Errc::kUnsupportedVersion,
                      "layout encoding version " + std::to_string(version) + "; this is version " +
                          std::to_string(kLayoutVersion));
  }
  Layout layout;
  layout.name = reader.get_text();
  layout.unit_tokens = reader.get<uint32_t>();
  layout.block_tokens = reader.get<uint32_t>();
  // Bounded before the loop: a name alone takes four bytes of a group.
  const size_t group_count = reader.get_count(kMaxGroups, 1, "groups");
  for (size_t i = 0; i < group_count && !reader.failed(); ++i) {
    layout.groups.push_back(read_group(reader));
  }
  // Once for all reads: a reader that failed gives zeros, and bytes that are left over mean another
  // form.
  if (reader.failed() || !reader.at_end()) return reader.error();
  // Kinds, formats and rules were cast from any byte: validate() refuses those that are none.
  QUIRE_TRY(validate(layout));
  return layout;
}

// Manifests and roots name layouts by this digest: a change of the encoding would orphan them.
Hash256 layout_digest(const Layout& layout) { return sha256(encode(layout)); }

}  // namespace quire::model
