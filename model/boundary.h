// The one boundary rule (DESIGN section 3): where spans end and where a prompt can be resumed.
// (Where checkpoints are wanted: model/checkpoint_policy.h.) Writer, matcher, advice, restart and
// rebuild all call it, so they cannot disagree; tests/tidy refuses copies of it. Positions are
// tokens from the start of the context, or units where the name says so (the rings and the tree
// count in units). All functions are pure.
#pragma once

#include <cstdint>

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
  // Nobody asked for this position: a state that exists there, at the end of a chunk. Kept where no
  // other checkpoint lies near before it (offer_tokens(), model/checkpoint_policy.h).
  kOffered = 4,
};

// Templates rewrite the tail of a prompt: the next turn often leaves this one within its last 256
// tokens, where the checkpoint at its end serves nobody.
inline constexpr uint32_t kTailTokens = 256;
// In place of a number: what the daemon has learnt of the namespace (cache/fill/tail_distances.h),
// kTailTokens until then. Told to the session by ProgressHeader::tail_tokens.
inline constexpr uint32_t kLearntTail = UINT32_MAX;
// A checkpoint at most so far before the tail serves as the one before it: what recomputing this
// much costs, now and then, is less than one more checkpoint in every turn.
inline constexpr uint32_t kTailReachTokens = 64 * kTailTokens;

// The last unit end that lies `tail_tokens` before the end of a prompt; 0 if none.
uint32_t tail_point(const Layout& layout, uint32_t prompt_tokens, uint32_t tail_tokens);
// The tail point of the longest prompt whose turn end lies at `end_units`, in units. What lies
// there or before is before the tail of every prompt with that turn end.
uint32_t tail_units(uint32_t end_units, uint32_t unit_tokens, uint32_t tail_tokens);

}  // namespace quire::model
