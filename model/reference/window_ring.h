// The last tokens' rows of one layer: stored in row format, and decoded from there for attention.
//
// Invariants: 1. slot of position p is p mod capacity; 2. capacity is a multiple of 32 and at least
// window + block, so a step inside one block never overwrites a row that the step can see;
// 3. a decoded row equals decode(stored row). Threads: different positions of different 32-token
// runs may be stored at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/reference/decoder_config.h"
#include "model/reference/row_tile.h"

namespace quire::reference {

class WindowRing {
 public:
  explicit WindowRing(const DecoderConfig& config);

  // Quantises the row of token `position`.
  void store(uint32_t position, const float* values);
  // Appends tiles that cover the window of token `position`, itself included, oldest first. Tile
  // borders lie at multiples of 16 of the position, whatever the step.
  void append_tiles(uint32_t position, std::vector<TileRef>* out) const;

  // Rows of tokens end - window .. end - 1 to or from a window page section; zero before token 0.
  void save(uint32_t end, const Section& section, std::byte* page) const;
  void restore(uint32_t end, const Section& section, const std::byte* page);

 private:
  float* tile_of(uint32_t position);

  uint32_t window_tokens_;
  uint32_t capacity_;
  Section section_;
  std::vector<std::byte> rows_;
  std::vector<float> tiles_;
};

}  // namespace quire::reference
