// Where in a prompt its conversation begins.
//
// A conversation is what goes on below an anchor: the first block behind what many conversations
// share. Where prompts share a system prompt, its last block is a hub (a block with 16 children or
// more; the beginning of all paths is one) and the anchor is the block behind it. Which blocks are
// hubs is learned: each prompt adds one block to what is known of its beginning, until that is
// deeper than the first block that differs.
//
// A block that turns out to be a hub late moves the anchors below it: what was sampled by the old
// one is not used again, and goes. Threads: one owner. Memory: 128 KiB.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace quire::cache {

struct Anchor {
  uint32_t blocks_above = 0;  // that many conversations share
  uint32_t hash = 0;          // of the anchor's key
};

class AnchorFinder {
 public:
  static constexpr uint32_t kHubChildren = 16;

  AnchorFinder() : beginnings_(kPlaces) {}

  // Of a prompt, by its keys; learns from it. Precondition: one key at least.
  Anchor find(std::span<const uint64_t> keys);
  // The hash of an anchor with this key.
  static uint32_t hash_of(uint64_t key);
  uint64_t held_bytes() const { return beginnings_.capacity() * sizeof(Beginning); }

 private:
  static constexpr uint32_t kPlaceBits = 14;
  static constexpr uint32_t kPlaces = 1 << kPlaceBits;
  // Behind the last hub, as deep as beginnings are known.
  static constexpr uint32_t kDeepest = 64;

  struct Beginning {
    uint32_t key = 0;  // 0: free
    uint16_t children = 0;
    bool kept = false;  // a hub is here or below
  };

  Beginning* find_place(uint32_t key);
  void clear_rare();

  std::vector<Beginning> beginnings_;
  uint32_t used_ = 0;
};

}  // namespace quire::cache
