// Which checkpoints an engine is asked for while it computes a prompt: an operator's word, and the
// one function that turns it into positions. The daemon tells the word to a session's processes
// (ProgressHeader::checkpoints, model/session_shm.h), the client library asks the function.
//
//   none < branch < turn_ends < every:N < all
//
// Each word asks for whatever the one before it asks for, and more: none for nothing; branch where
// an earlier session left this prompt; turn_ends also at the prompt's end, before its tail, and
// where the layout itself declares intervals; every:N also at multiples of N; all at every unit.
// A layout without window and state groups has no checkpoints, whatever the word.
// All functions are pure; values copy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/boundary.h"
#include "model/layout.h"
#include "model/result.h"

namespace quire::model {

// In the order of what they ask for.
enum class CheckpointWord : uint8_t { kNone = 0, kBranch, kTurnEnds, kEvery, kAll };

// Longer contexts do not exist (kMaxUnits), and the number fits its place in the shared word.
inline constexpr uint32_t kMaxEveryTokens = (1u << 28) - 1;

struct CheckpointPolicy {
  CheckpointWord word = CheckpointWord::kTurnEnds;
  uint32_t every_tokens = 0;  // 1..kMaxEveryTokens with kEvery, else 0

  friend bool operator==(const CheckpointPolicy&, const CheckpointPolicy&) = default;
};

// "none", "branch", "turn_ends", "every:1024", "all". kInvalidArgument names the words.
Result<CheckpointPolicy> parse_checkpoint_policy(std::string_view text);
std::string checkpoint_policy_text(const CheckpointPolicy& policy);

// The policy in one word of shared memory: bits 28..31 are the CheckpointWord + 1, the others
// every_tokens. 0, as a daemon leaves it that knows of no policies, and whatever else is no policy
// stand for the default.
uint32_t to_shared_word(const CheckpointPolicy& policy);
CheckpointPolicy from_shared_word(uint32_t word);

// How far apart the policy alone wants checkpoints in this layout: N rounded up to whole units, one
// unit for all, 0 for the other words and for layouts without checkpoints.
uint32_t interval_tokens(const Layout& layout, const CheckpointPolicy& policy);

// How far apart checkpoints are kept that an engine offers at positions of its own (states exist at
// the ends of its chunks alone): one is wanted where none lies less than so far before it. The
// least of what the session says, the policy's interval, and the intervals that the layout
// declares, in whole units. 0: none is, as with words below turn_ends, or where nobody names a
// distance.
uint32_t offer_tokens(const Layout& layout, const CheckpointPolicy& policy,
                      uint32_t session_tokens);

// The last position at or before `tokens` at which the policy's intervals, or those that the layout
// declares, have a checkpoint; 0: none.
uint32_t last_interval(const Layout& layout, uint32_t tokens, const CheckpointPolicy& policy);

struct WantedCheckpoint {
  uint32_t tokens = 0;  // multiple of A
  CheckpointReason reason = CheckpointReason::kTurnEnd;
  friend bool operator==(const WantedCheckpoint&, const WantedCheckpoint&) = default;
};

// What an engine computes in one go: the tokens (from, end].
struct ComputedRange {
  uint32_t from_tokens = 0;  // where the turn resumed
  uint32_t end_tokens = 0;
  uint32_t branch_tokens = 0;          // as the match said; 0: none
  uint32_t tail_tokens = kTailTokens;  // 0: every turn end, and none before a tail
};

// Checkpoints wanted while computing a range, ascending, at most one a position; a branch outranks
// an interval, an interval outranks a turn end, a turn end outranks the one before the tail. The
// turn end lies at last_resume_point(end), so that the same prompt sent again still hits it. The
// checkpoint at `from` is the one before the tail when it lies near enough (kTailReachTokens), and
// a turn end less than tail_tokens behind it is not worth its bytes.
std::vector<WantedCheckpoint> wanted_checkpoints(const Layout& layout, const ComputedRange& range,
                                                 const CheckpointPolicy& policy = {});

}  // namespace quire::model
