// The one boundary rule (DESIGN section 3): where spans end, where a prompt can be resumed and
// where checkpoints are wanted. Writer, matcher, advice, restart and rebuild all call it, so they
// cannot disagree; tests/tidy refuses copies of it. Positions are tokens from the start of the
// context, or units where the name says so (the rings and the tree count in units). All functions
// are pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/layout.h"
#include "model/ring_frames.h"

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

// The last span end at or before a position, in units; `units_per_block` = B / A.
uint32_t block_floor_units(uint32_t units, uint32_t units_per_block);
// Whether an object of this kind may end there: anywhere but 0, a span at block ends only.
bool is_object_end(FillKind kind, uint32_t end_units, uint32_t units_per_block);
// Where the span ends that the object hangs below; 0 = the root. Precondition: is_object_end().
uint32_t parent_units(FillKind kind, uint32_t end_units, uint32_t units_per_block);

enum class CheckpointReason : uint8_t {
  kTurnEnd = 0,     // prompt end or output end: superseded by the session's next one
  kInterval = 1,    // every N tokens: kept
  kBranch = 2,      // another session diverged here: kept
  kBeforeTail = 3,  // a little before a prompt's end: stays beside the turn end, until the next one
};

// Templates rewrite the tail of a prompt: the next turn often leaves this one within its last 256
// tokens, where the checkpoint at its end serves nobody.
inline constexpr uint32_t kTailTokens = 256;
// A checkpoint at most so far before the tail serves as the one before it: what recomputing this
// much costs, now and then, is less than one more checkpoint in every turn.
inline constexpr uint32_t kTailReachTokens = 64 * kTailTokens;

struct WantedCheckpoint {
  uint32_t tokens = 0;  // multiple of A
  CheckpointReason reason = CheckpointReason::kTurnEnd;
  friend bool operator==(const WantedCheckpoint&, const WantedCheckpoint&) = default;
};

// The last unit end that lies `tail_tokens` before the end of a prompt; 0 if none.
uint32_t tail_point(const Layout& layout, uint32_t prompt_tokens, uint32_t tail_tokens);
// The tail point of the longest prompt whose turn end lies at `end_units`, in units. What lies
// there or before is before the tail of every prompt with that turn end.
uint32_t tail_units(uint32_t end_units, uint32_t unit_tokens, uint32_t tail_tokens);

// Checkpoints wanted while computing (from_tokens, end_tokens], ascending, at most one a position;
// a branch outranks an interval, an interval outranks a turn end, a turn end outranks the one
// before the tail. The turn end lies at last_resume_point(end_tokens), so that the same prompt sent
// again still hits it. `from_tokens` = where the turn resumed: the checkpoint there is the one
// before the tail when it lies near enough (kTailReachTokens), and a turn end less than tail_tokens
// behind it is not worth its bytes. `tail_tokens` = 0: every turn end, and none before a tail.
// `branch_tokens` = 0 when match named none. Empty for layouts without checkpoint groups.
std::vector<WantedCheckpoint> wanted_checkpoints(const Layout& layout, uint32_t from_tokens,
                                                 uint32_t end_tokens, uint32_t branch_tokens,
                                                 uint32_t tail_tokens = kTailTokens);

}  // namespace quire::model
