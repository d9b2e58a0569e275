// Which memory the kernel knows, and under which index of its table: ranges as they were added, in
// pieces of at most 1 GiB. Invariant: pieces are disjoint, and each has an index of its own.
// Threads: core only. Bound: the places of the kernel's table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace quire::tiering {

class BufferTable {
 public:
  explicit BufferTable(uint32_t places);

  // The one that the next add() takes; nullopt: all are taken.
  std::optional<uint16_t> free_index() const;
  // Precondition: a free index, and no overlap. `range_start`: of the range it is a piece of.
  void add(std::span<const std::byte> piece, const std::byte* range_start);
  // All pieces of the range; returns their indexes, which are free again. Unknown: none.
  std::vector<uint16_t> remove(const std::byte* range_start);

  // The index of the piece that has all of these bytes.
  std::optional<uint16_t> find(std::span<const std::byte> bytes) const;
  uint64_t bytes() const { return bytes_; }  // of all pieces

 private:
  struct Piece {
    const std::byte* start = nullptr;
    uint64_t bytes = 0;
    uint16_t index = 0;
    const std::byte* range_start = nullptr;
  };
  std::vector<Piece>::const_iterator first_after(const std::byte* at) const;

  std::vector<uint16_t> free_;
  std::vector<Piece> pieces_;  // by start
  uint64_t bytes_ = 0;
};

}  // namespace quire::tiering
