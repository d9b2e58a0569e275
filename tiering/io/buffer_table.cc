#include "tiering/io/buffer_table.h"

#include <algorithm>
#include <iterator>

#include "model/check.h"

namespace quire::tiering {

BufferTable::BufferTable(uint32_t places) {
  free_.reserve(places);
  for (uint32_t index = places; index > 0; --index) {
    free_.push_back(static_cast<uint16_t>(index - 1));
  }
  pieces_.reserve(places);
}

std::optional<uint16_t> BufferTable::free_index() const {
  if (free_.empty()) return std::nullopt;
  return free_.back();
}

std::vector<BufferTable::Piece>::const_iterator BufferTable::first_after(
    const std::byte* at) const {
  return std::upper_bound(
      pieces_.begin(), pieces_.end(), at,
      [](const std::byte* start, const Piece& piece) { return start < piece.start; });
}

void BufferTable::add(std::span<const std::byte> piece, const std::byte* range_start) {
  const auto next = first_after(piece.data());
  // An operation would be found in two pieces, and outlive the one that it was given.
  QUIRE_CHECK(next == pieces_.end() || piece.data() + piece.size() <= next->start);
  QUIRE_CHECK(next == pieces_.begin() ||
              std::prev(next)->start + std::prev(next)->bytes <= piece.data());
  QUIRE_CHECK(!free_.empty());
  pieces_.insert(next, Piece{piece.data(), piece.size(), free_.back(), range_start});
  free_.pop_back();
  bytes_ += piece.size();
}

std::vector<uint16_t> BufferTable::remove(const std::byte* range_start) {
  std::vector<uint16_t> indexes;
  std::erase_if(pieces_, [&](const Piece& piece) {
    if (piece.range_start != range_start) return false;
    indexes.push_back(piece.index);
    bytes_ -= piece.bytes;
    return true;
  });
  free_.insert(free_.end(), indexes.begin(), indexes.end());
  return indexes;
}

std::optional<uint16_t> BufferTable::find(std::span<const std::byte> bytes) const {
  const auto next = first_after(bytes.data());
  if (next == pieces_.begin()) return std::nullopt;
  const Piece& piece = *std::prev(next);
  const auto offset = static_cast<uint64_t>(bytes.data() - piece.start);
  const bool inside = offset <= piece.bytes && bytes.size() <= piece.bytes - offset;
  return inside ? std::optional(piece.index) : std::nullopt;
}

}  // namespace quire::tiering
