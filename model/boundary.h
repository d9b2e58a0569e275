// The one boundary function (DESIGN section 3): where spans end, where a prompt can be resumed and
// where checkpoints are wanted. Writer and matcher both call it, so they cannot disagree.
// Positions are tokens from the start of the context. All functions are pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/layout.h"

namespace quire::model {

// Largest multiple of A <= tokens.
uint32_t unit_floor(const Layout& layout, uint32_t tokens);
// Largest multiple of B <= tokens: the span end that a resume at `tokens` needs.
uint32_t block_floor(const Layout& layout, uint32_t tokens);
// Largest legal resume point of a prompt: at least one token is always left to compute.
// Multiple of A (layouts with checkpoints) or of B (append only); 0 if none.
uint32_t last_resume_point(const Layout& layout, uint32_t prompt_tokens);
// True when a checkpoint at `tokens` cuts a block and therefore holds tail pages.
bool has_tail(const Layout& layout, uint32_t tokens);

enum class CheckpointReason : uint8_t {
  kTurnEnd = 0,   // prompt end or output end: superseded by the session's next one
  kInterval = 1,  // every N tokens: kept
  kBranch = 2,    // another session diverged here: kept
};

struct WantedCheckpoint {
  uint32_t tokens = 0;  // multiple of A
  CheckpointReason reason = CheckpointReason::kTurnEnd;
  friend bool operator==(const WantedCheckpoint&, const WantedCheckpoint&) = default;
};

// Checkpoints wanted while computing (from_tokens, end_tokens], ascending, at most one a position;
// a branch outranks an interval, an interval outranks a turn end. The turn end lies at
// last_resume_point(end_tokens), so that the same prompt sent again still hits it.
// `branch_tokens` = 0 when match named none. Empty for layouts without checkpoint groups.
std::vector<WantedCheckpoint> wanted_checkpoints(const Layout& layout, uint32_t from_tokens,
                                                 uint32_t end_tokens, uint32_t branch_tokens);

}  // namespace quire::model
