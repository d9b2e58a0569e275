// Load or recompute (DESIGN section 6): where to resume for the earliest first token, given what of
// a hit lies below RAM, how long a load takes, and what prefilling costs the engine.
//
//   total(h) = load time of what is not in RAM up to h + prefill time of tokens h..P
//
// h ranges over the positions that can be resumed: block ends, or checkpoints for layouts that need
// them, and 0. Pure: reads the tree, pins nothing.
#pragma once

#include <cstdint>
#include <functional>

#include "cache/objects/object_store.h"
#include "cache/serve/match.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"

namespace quire::cache {

struct PrefillCost {
  uint32_t us_per_ktoken = 0;  // both 0: not known
  uint32_t us_per_ktoken_per_mtoken = 0;
  bool known() const { return us_per_ktoken != 0 || us_per_ktoken_per_mtoken != 0; }
};

// Microseconds to compute tokens [from, to).
double prefill_us(const PrefillCost& cost, uint32_t from, uint32_t to);

// Microseconds until so many bytes are brought to RAM.
using LoadTime = std::function<uint64_t(uint64_t bytes)>;

uint32_t clamp_us(uint64_t us);

// What lower tiers have to deliver of nodes; 0 for those in RAM.
class MissingBytes {
 public:
  // `have_tokens`: what the engine holds already is not loaded.
  MissingBytes(const ObjectStore& store, const Root& root, uint32_t have_tokens);
  uint64_t of_span(model::NodeId node) const;
  uint64_t of_checkpoint(model::NodeId node) const;  // an invalid one: 0

 private:
  uint64_t of(model::NodeId node) const;

  const ObjectStore& store_;
  const model::NodeId root_node_;
  const uint32_t have_units_;
};

struct HitTiers {
  uint32_t below_tokens = 0;  // of the hit, not in RAM
  uint64_t below_bytes = 0;   // to be loaded for all of it, the checkpoint included
  uint32_t load_us = 0;
  uint32_t cut_tokens = 0;  // best resume position; the hit's own without a cost curve
  uint32_t steps = 0;       // nodes looked at: what it cost
};

// `have_tokens`: what the engine holds already is not loaded.
HitTiers weigh_hit(const ObjectStore& store, const Root& root, const PrefixMatch& match,
                   const ChainView& chain, uint32_t prompt_tokens, uint32_t have_tokens,
                   const PrefillCost& cost, const LoadTime& load_time);

}  // namespace quire::cache
