// Load or recompute (DESIGN section 6): where to resume for the earliest first token, given what of
// a hit lies below RAM, how long a load takes, and what prefilling costs the engine.
//
//   total(h) = load time of what is not in RAM up to h + prefill time of tokens h..P
//
// h ranges over the positions that can be resumed: block ends, or checkpoints for layouts that need
// them, and 0. Pure: reads the tree, pins nothing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <numeric>

#include "cache/objects/object_store.h"
#include "cache/serve/below_search.h"
#include "cache/serve/match.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"
#include "model/ids.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct PrefillCost {
  uint32_t us_per_ktoken = 0;  // both 0: not known
  uint32_t us_per_ktoken_per_mtoken = 0;
  bool known() const { return us_per_ktoken != 0 || us_per_ktoken_per_mtoken != 0; }
};

// Microseconds to compute tokens [from, to).
double prefill_us(const PrefillCost& cost, uint32_t from, uint32_t to);

// What each tier below RAM has to deliver.
class TierBytes {
 public:
  uint64_t& operator[](model::TierId tier) { return of_[model::index_of(tier)]; }
  uint64_t operator[](model::TierId tier) const { return of_[model::index_of(tier)]; }
  uint64_t sum() const { return std::accumulate(of_.begin(), of_.end(), uint64_t{0}); }
  TierBytes operator+(const TierBytes& other) const {
    TierBytes both = *this;
    for (size_t i = 0; i < of_.size(); ++i) both.of_[i] += other.of_[i];
    return both;
  }
  TierBytes& operator-=(const TierBytes& other) {
    for (size_t i = 0; i < of_.size(); ++i) of_[i] -= other.of_[i];
    return *this;
  }

 private:
  std::array<uint64_t, model::kTierCount> of_{};
};

// Microseconds until so many bytes are brought to RAM.
using LoadTime = std::function<uint64_t(const TierBytes& bytes)>;

uint32_t clamp_us(uint64_t us);

// Tokens of a path that are below RAM, by tier.
model::TierTokens tokens_below(const BelowRam& below, uint32_t block_tokens);

// What lower tiers have to deliver of nodes, each from the fastest one that can; 0 for those in
// RAM.
class MissingBytes {
 public:
  // `have_tokens`: what the engine holds already is not loaded.
  MissingBytes(const ObjectStore& store, const Root& root, uint32_t have_tokens);
  TierBytes of_span(model::NodeId node) const;
  TierBytes of_checkpoint(model::NodeId node) const;  // an invalid one: 0
  // Of a path, which was counted.
  TierBytes of_path(const BelowRam& below, uint64_t span_bytes) const;

 private:
  TierBytes of(model::NodeId node) const;

  const ObjectStore& store_;
  const model::NodeId root_node_;
  const uint32_t have_units_;
};

struct HitTiers {
  model::TierTokens below_tokens{};  // of the hit, by the tier that would deliver them; RAM: 0
  TierBytes below_bytes;             // to be loaded for all of it, the checkpoint included
  uint32_t load_us = 0;
  uint32_t cut_tokens = 0;  // best resume position; the hit's own without a cost curve
  uint32_t steps = 0;       // nodes looked at: what it cost
};

// `have_tokens`: what the engine holds already is not loaded.
HitTiers weigh_hit(const ObjectStore& store, const Root& root, const PrefixMatch& match,
                   const ChainView& chain, uint32_t prompt_tokens, uint32_t have_tokens,
                   const PrefillCost& cost, const LoadTime& load_time);

}  // namespace quire::cache
