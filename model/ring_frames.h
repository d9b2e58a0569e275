// The hot verbs: one 64-byte submission each, and exactly one 64-byte completion each, also on
// failure. Fixed little-endian structs; no pointers, only indexes into areas of
// model/session_shm.h. A client writes submissions; the daemon copies each once into a local,
// checks it, then uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "model/ids.h"
#include "model/layout.h"

namespace quire::model {

enum class Verb : uint16_t {
  kNoop = 0,  // round trip; for benchmarks and liveness
  kMatch = 1,
  kLoad = 2,
  kRelease = 3,
  kBeginFill = 4,
  kCommit = 5,
  kAbortFill = 6,
  kSupersede = 7,
  kAdvise = 8,
};

// Longest prefix that can be resumed, pinned under a lease before it is announced (law 3).
struct MatchArgs {
  uint32_t unit_count;     // chain hashes 1..unit_count stand in the hash arena from entry 0
  uint32_t prompt_tokens;  // P; at least one token is always left to compute
  // Prefix the engine already holds in device memory: pinned like the rest; a load leaves it out by
  // LoadArgs::first_block.
  uint32_t have_tokens;
  // What it costs the engine to compute instead of loading: a thousand tokens at position p take
  // prefill_us_per_ktoken + prefill_us_per_ktoken_per_mtoken * p / 1e6 microseconds. Both 0: no
  // curve, nothing is cut.
  uint32_t prefill_us_per_ktoken;
  uint32_t prefill_us_per_ktoken_per_mtoken;
  uint32_t reserved[7];
};

// How loads of a session are scheduled against others'; given when it is opened.
enum class LoadClass : uint8_t {
  kInteractive = 0,  // somebody waits for the first token
  kBatch = 1,        // takes what the interactive ones leave
};

// How pages are brought in. kLayerMajor: within each run of 16 blocks group by group, in the order
// of each group's first layer; a page is verified whole before it is delivered (law 4). Descriptors
// are block-major either way.
enum class LoadOrder : uint8_t { kBlockMajor = 0, kLayerMajor = 1 };

// Writes page descriptors of a lease's pages: blocks [first_block, first_block + block_count), each
// with the append groups among `groups` in ascending order; then, with include_checkpoint, the
// checkpoint's pages of `groups` in the order of plan_pages (model/page_plan.h). Two loads in
// flight with one progress slot make its count worthless and harm nobody else.
struct LoadArgs {
  uint64_t lease;
  uint64_t groups;  // GroupMask; 0 = all
  uint32_t first_block;
  uint32_t block_count;       // 0 = to the lease's end
  uint32_t descriptor_index;  // first entry of the descriptor area to be written
  uint32_t descriptor_capacity;
  uint8_t order;  // LoadOrder; RAM pages complete in one piece either way
  uint8_t include_checkpoint;
  uint8_t progress_slot;  // 1..kLoadProgressSlots: ReplyHeader::load_ready[slot - 1]; 0 = none
  uint8_t reserved[13];
};

struct ReleaseArgs {
  uint64_t lease;
  uint64_t reserved[5];
};

enum class FillKind : uint8_t { kSpan = 0, kCheckpoint = 1 };

// Reserves slots for one span (end_units a multiple of B/A) or one checkpoint, or reports that it
// exists. Chain hashes 1..end_units must stand in the hash arena.
struct BeginFillArgs {
  uint64_t groups;     // GroupMask this process will commit; 0 = all of the kind
  uint32_t end_units;  // position in units
  uint8_t kind;        // FillKind
  uint8_t reason;      // CheckpointReason
  uint8_t reserved[34];
};

// Bytes of the groups lie in the staging area one after the other as model/page_plan.h says.
struct CommitArgs {
  uint64_t fill;
  uint64_t staging_offset;  // multiple of kStagingAlignment
  uint64_t groups;          // GroupMask; 0 = all that begin_fill named
  uint64_t reserved[3];
};

struct AbortFillArgs {
  uint64_t fill;
  uint64_t reserved[5];
};

// Drops the session's checkpoint at end_units, unless pinned or a branch point.
struct SupersedeArgs {
  uint32_t end_units;
  uint32_t reserved[11];
};

enum class Advice : uint8_t {
  kPrefetch = 0,  // bring the path up to end_units to RAM, treat it as used now
  // Nothing of it is needed for pause_ms: to the SSD now, first to leave RAM, and back in RAM by
  // then. Without an SSD: first to be evicted.
  kPauseUntil = 1,
  kDoneWith = 2,  // first to be evicted
};

struct AdviseArgs {
  uint32_t end_units;
  uint32_t pause_ms;
  uint8_t advice;
  uint8_t reserved[39];
};

struct Submission {
  uint64_t user_data;    // returned in the completion
  uint16_t verb;         // Verb
  uint16_t flags;        // 0
  uint32_t deadline_ms;  // 0 = the daemon's default; at most kMaxDeadlineMs counts
  union Args {
    MatchArgs match;
    LoadArgs load;
    ReleaseArgs release;
    BeginFillArgs begin_fill;
    CommitArgs commit;
    AbortFillArgs abort_fill;
    SupersedeArgs supersede;
    AdviseArgs advise;
    uint64_t words[6];
  } args;
};
static_assert(sizeof(Submission) == 64 && std::is_trivially_copyable_v<Submission>);
static_assert(sizeof(MatchArgs) == 48 && sizeof(LoadArgs) == 48 && sizeof(BeginFillArgs) == 48);
static_assert(sizeof(CommitArgs) == 48 && sizeof(AdviseArgs) == 48 && sizeof(SupersedeArgs) == 48);

// What kept the hit from being longer.
enum class MatchLimit : uint8_t {
  kEndOfPrompt = 0,  // nothing: all but the last unit or block
  kNoSpan = 1,       // the span at limit_tokens is not present
  // limit_tokens - exact_tokens were lost: the spans allow limit_tokens, but the last checkpoint
  // lies at exact_tokens.
  kNoCheckpoint = 2,
  kGroup = 3,  // group `limit_group` vetoes
  kDeadline = 4,
};

struct MatchResult {
  uint64_t lease;          // 0 when nothing was found
  uint32_t exact_tokens;   // resume here: bit-exact
  uint32_t span_tokens;    // s: append pages are present up to here, pinned too
  uint32_t replay_tokens;  // to resume at s instead: tokens to replay; 0 = not allowed
  uint32_t branch_tokens;  // a checkpoint is wanted here: an earlier session diverged; 0 = none
  uint32_t limit_tokens;   // where the limit bit: exact_tokens, or a position up to span_tokens
  uint32_t tokens_ram;     // of exact_tokens, per tier
  uint32_t tokens_ssd;
  uint32_t load_estimate_us;
  uint8_t limit;  // MatchLimit
  uint8_t limit_group;
  uint8_t replay_exact;  // 1: a replay reproduces the bytes
  uint8_t reserved[1];
  // Resume here for the earliest first token: loading up to here costs less than computing, by the
  // prefill curve and load_estimate_us. At most exact_tokens, and equal to it without a curve.
  uint32_t cut_tokens;
};

// With kDeadlineExceeded, kIoError and kCorrupt the completion carries the usable head all the same
// (law 15): block_count whole blocks from first_block on; their descriptors are valid and their
// pages stay pinned under the lease. The checkpoint is delivered whole or not at all, and only
// behind every block asked for: no descriptor changes its place. Any other code: nothing was
// delivered.
struct LoadResult {
  uint32_t descriptor_count;  // written from LoadArgs::descriptor_index on
  uint32_t block_count;       // blocks whose pages are all delivered (the usable head)
  uint32_t checkpoint_count;  // descriptors at the end that belong to the checkpoint
  uint32_t reserved[9];
};

struct BeginFillResult {
  uint64_t fill;      // 0 when duplicate
  uint8_t duplicate;  // 1: present already, nothing to write
  uint8_t reserved[39];
};

struct CommitResult {
  uint8_t visible;     // 1: all groups are in, the object can be hit; 0: peers' groups are missing
  uint8_t duplicate;   // 1: another session's commit came first; its bytes serve
  uint8_t superseded;  // 1: the session's previous checkpoint was dropped
  uint8_t reserved[45];
};

struct SupersedeResult {
  uint8_t dropped;  // 0: pinned, a branch point, or not there
  uint8_t reserved[47];
};

struct Completion {
  uint64_t user_data;
  int32_t code;    // Errc
  uint16_t verb;   // Verb
  uint16_t flags;  // 0
  union Result {
    MatchResult match;
    LoadResult load;
    BeginFillResult begin_fill;
    CommitResult commit;
    SupersedeResult supersede;
    uint64_t words[6];
  } result;
};
static_assert(sizeof(Completion) == 64 && std::is_trivially_copyable_v<Completion>);
static_assert(sizeof(MatchResult) == 48 && sizeof(LoadResult) == 48 && sizeof(CommitResult) == 48);
static_assert(offsetof(MatchResult, limit) == 40 && offsetof(MatchResult, cut_tokens) == 44);
static_assert(offsetof(MatchArgs, prefill_us_per_ktoken) == 12);
static_assert(offsetof(LoadArgs, progress_slot) == 34);

// Where one page lies and what it must look like.
struct PageDescriptor {
  uint64_t offset;      // in the segment
  uint64_t bytes;       // page_bytes of the group
  uint32_t segment;     // SegmentId
  uint32_t generation;  // of the slot when it was pinned
  uint32_t crc32c;      // of the bytes (law 4)
  uint16_t group;
  uint16_t flags;  // bit 0: page of a checkpoint
};
static_assert(sizeof(PageDescriptor) == 32);

}  // namespace quire::model
