// Every position at which a prompt could be resumed, and how much of a chain is where: the
// questions of engines that choose by themselves (SGLang's linker, vLLM's hybrid manager).
//
// Both start from find_prefix() and CheckpointSearch, as a match does; here is what is made of
// their finds, and no rule about what can be resumed. A list costs the spans that it walks for the
// positions asked for, and the bound of the search; what lies below RAM is searched.
// Pure: reads the tree, pins nothing, counts nothing as used.
#pragma once

#include <cstdint>
#include <span>

#include "cache/objects/checkpoint_search.h"
#include "cache/objects/object_store.h"
#include "cache/serve/load_cut.h"
#include "cache/serve/match.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct PositionsQuery {
  uint32_t prompt_tokens = 0;
  uint32_t have_tokens = 0;
  bool every_block = false;  // block ends too that take a replay, where the layout allows one
};

struct FoundPositions {
  model::PositionsResult result{};
  uint32_t steps = 0;
};
struct Located {
  model::LocateResult result{};
  uint32_t steps = 0;
};

class PositionSearch {
 public:
  // Children looked at for one answer: a third of a millisecond. Who has more checkpoints on one
  // path gets the deeper ones, and is told that there may be others.
  static constexpr uint32_t kMaxSteps = 4096;

  PositionSearch(const ObjectStore& store, const Root& root, const ChainView& chain,
                 const LoadTime& load_time)
      : store_(store), root_(root), chain_(chain), load_time_(load_time) {}

  // The deepest first; as many as `out` has room for.
  FoundPositions list(const PrefixMatch& match, const PositionsQuery& query,
                      std::span<model::ResumePosition> out) const;
  // Tokens by tier of the deepest span that was found, and how long a load of them takes.
  Located locate(const PrefixMatch& match) const;

 private:
  // Of the path to a span, this one included.
  struct Weight {
    model::TierTokens below_tokens{};
    TierBytes missing_bytes;
    uint32_t steps = 0;
  };
  class Lister;
  Weight weigh(model::NodeId end, uint32_t have_tokens) const;
  bool reads_below() const { return store_.presence().count_below_ram() > 0; }

  const ObjectStore& store_;
  const Root& root_;
  const ChainView& chain_;
  const LoadTime& load_time_;
};

}  // namespace quire::cache
