#include "tiering/disk/superblocks.h"

#include <cstring>
#include <span>

#include "tiering/io/durable_file.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kMaxRegionBytes = 1ull << 30;

}  // namespace

bool valid_geometry(uint64_t region_bytes, uint64_t regions_per_file) {
  return region_bytes >= kMiB && region_bytes <= kMaxRegionBytes && region_bytes % kMiB == 0 &&
         regions_per_file >= 1 && regions_per_file <= kMaxRegions;
}

// The checksum before anything that it covers is judged: a flipped bit in the features is damage,
// which the other copy may mend, and no later format.
Result<Superblock> Superblocks::read_copy(const std::string& file) const {
  const std::string name = path_ + "/" + file;
  auto bytes = read_file(directory_, file, sizeof(Superblock));
  const std::string advice = "; restore it from a copy, or empty " + path_ + " to start anew";
  if (!bytes.ok()) {
    const bool corrupt = bytes.code() == Errc::kCorrupt;
    return make_error(bytes.code(), path_ + "/" + bytes.error().text + (corrupt ? advice : ""));
  }
  if (bytes->size() != sizeof(Superblock)) {
    return make_error(Errc::kCorrupt, name + " is not one block" + advice);
  }
  Superblock block;
  std::memcpy(static_cast<void*>(&block), bytes->data(), sizeof(block));
  if (const Result<void> checked = check(block); !checked.ok()) {
    const bool corrupt = checked.code() == Errc::kCorrupt;
    return make_error(checked.code(), name + ": " + checked.error().text +
                                          (corrupt ? advice : "; use a later daemon"));
  }
  if ((block.incompatible & ~kKnownIncompatible) != 0) {
    return make_error(Errc::kUnsupportedVersion,
                      name + ": a feature that this daemon does not know; use a later daemon");
  }
  if (!valid_geometry(block.region_bytes, block.regions_per_file)) {
    return make_error(Errc::kCorrupt, name + ": the sizes of regions are out of range" + advice);
  }
  return block;
}

// The later of the good copies; of two equally late ones, and of two instances, the first.
Result<Superblock> Superblocks::read() {
  Result<Superblock> first = read_copy(kNames[0]);
  Result<Superblock> second = read_copy(kNames[1]);
  // A later daemon wrote here: an earlier copy of ours is no reason to write over its work.
  if (first.code() == Errc::kUnsupportedVersion) return first;
  if (second.code() == Errc::kUnsupportedVersion) return second;
  // Descriptors were short: nothing is known of the copy, least of all that it is damaged.
  if (first.code() == Errc::kResourceExhausted) return first;
  if (!first.ok() && !second.ok()) return first.code() == Errc::kNotFound ? second : first;
  if (first.ok() && second.ok()) {
    const bool later =
        second->instance == first->instance && second->start_count > first->start_count;
    return later ? second : first;
  }
  const Result<Superblock>& bad = first.ok() ? second : first;
  // An earlier version made no second copy, or a kill came before it.
  if (!first.ok() || bad.code() != Errc::kNotFound) damage_ = bad.error().text;
  return first.ok() ? first : second;
}

// The second first: a kill in between leaves two good copies, one a start behind.
Result<void> Superblocks::write(const Superblock& block) const {
  const auto bytes = std::as_bytes(std::span<const Superblock>(&block, 1));
  QUIRE_TRY(replace_file(directory_, kNames[1], bytes));
  return replace_file(directory_, kNames[0], bytes);
}

}  // namespace quire::tiering
