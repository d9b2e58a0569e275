// What the decoder tests share: a tiny config, a text, and a sink that remembers everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "model/reference/sequence.h"

namespace quire::reference {

using Bytes = std::vector<std::byte>;

inline DecoderConfig tiny_config() {
  using enum LayerKind;
  DecoderConfig config;
  config.layers = {kWindow, kCsa, kHca, kCsa};
  config.hidden = 32;
  config.query_rank = 16;
  config.heads = 2;
  config.index_heads = 2;
  config.index_top_k = 16;
  config.experts = 8;
  config.expert_dim = 16;
  return config;
}

inline DecoderConfig one_layer_config(LayerKind kind) {
  DecoderConfig config = tiny_config();
  config.layers = {kind};
  return config;
}

inline std::vector<uint32_t> make_text(size_t count, uint64_t seed = 1) {
  std::vector<uint32_t> tokens(count);
  uint64_t state = seed;
  for (uint32_t& token : tokens) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    token = static_cast<uint32_t>(state >> 40) % 256;
  }
  return tokens;
}

// All positions 0 .. count - 1.
inline std::vector<uint32_t> every_position(uint32_t count) {
  std::vector<uint32_t> out(count);
  for (uint32_t i = 0; i < count; ++i) out[i] = i;
  return out;
}

class RecordingSink : public PageSink {
 public:
  struct Saved {
    Bytes window_page;
    Bytes state_page;
    Bytes tail_page;
    friend bool operator==(const Saved&, const Saved&) = default;
  };

  const std::byte* block_complete(uint32_t block, std::span<const std::byte> page) override {
    return (blocks[block] = Bytes(page.begin(), page.end())).data();
  }
  void checkpoint(const Checkpoint& at) override {
    checkpoints[at.position] = {Bytes(at.window_page.begin(), at.window_page.end()),
                                Bytes(at.state_page.begin(), at.state_page.end()),
                                Bytes(at.tail_page.begin(), at.tail_page.end())};
  }

  std::map<uint32_t, Bytes> blocks;  // nodes do not move: sequences read them in place
  std::map<uint32_t, Saved> checkpoints;
};

// Starts `sequence` at `position` from what `sink` recorded there.
inline void resume_from(const RecordingSink& sink, uint32_t position, Sequence* sequence,
                        uint32_t block_tokens = 256) {
  const RecordingSink::Saved& saved = sink.checkpoints.at(position);
  std::vector<const std::byte*> sealed;
  for (uint32_t b = 0; b < position / block_tokens; ++b) sealed.push_back(sink.blocks.at(b).data());
  sequence->resume({.position = position,
                    .sealed_pages = sealed,
                    .tail_page = saved.tail_page.empty() ? nullptr : saved.tail_page.data(),
                    .window_page = saved.window_page.data(),
                    .state_page = saved.state_page.data()});
}

// Equal to the last bit, unlike ==, which lets -0 equal +0.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace quire::reference
