// The hot verbs: one 64-byte submission each, and exactly one 128-byte completion each, also on
// failure. Fixed little-endian structs; no pointers, only indexes into areas of
// model/session_shm.h. A client writes submissions; the daemon copies each once into a local,
// checks it, then uses it.
//
// Why 128: a match answers with tokens for four tiers and has room to grow, which 48 bytes do not
// hold. A result area beside the ring would need an index, a bound and a lifetime of its own for
// the sake of one verb; the second cache line of a completion lies beside the first and costs some
// nanoseconds. What is a list (page descriptors, positions) goes to the descriptor area.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "model/ids.h"
#include "model/layout.h"
#include "model/limits.h"

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
  kResumed = 9,
  kPositions = 10,
  kLocate = 11,
  kReset = 12,
};
inline constexpr uint16_t kVerbCount = static_cast<uint16_t>(Verb::kReset) + 1;

// Those of error texts, and of figures, where they stand beside those of socket verbs: none is
// both.
constexpr std::string_view verb_name(Verb verb) {
  constexpr std::array<std::string_view, kVerbCount> kNames{
      "noop",      "match",  "load",    "release",   "begin_fill",     "commit", "abort_fill",
      "supersede", "advise", "resumed", "positions", "session_locate", "reset"};
  const auto index = static_cast<size_t>(verb);
  return index < kNames.size() ? kNames[index] : "request";
}

// Longest prefix that can be resumed, pinned under a lease before it is announced (law 3).
struct MatchArgs {
  // The engine's number of its request: opens the turn that is metered under it, or joins it when
  // another process of the session did. 0: the engine gives none.
  uint64_t request_id;
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
  uint32_t reserved32;
  // Of the first block's content, whatever the root: tells what was stored for another tenant, or
  // before the namespace's epoch, when a miss is explained. 0: not given. No hit depends on it.
  uint64_t content;
  uint32_t reserved[2];
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

// How the pages are told. kPages: a PageDescriptor each. kRuns: a PageRun for each run of pages
// that lie behind each other, without checksums; a million tokens are some tens of runs. As many
// runs as pages may be needed where memory is fragmented: kResourceExhausted when they do not fit,
// and the load counts among the lease's all the same.
enum class LoadForm : uint8_t { kPages = 0, kRuns = 1 };

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
  uint8_t form;           // LoadForm; kRuns has no progress: kInvalidArgument with a slot
  uint8_t reserved[12];
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
  // 1: kBusy while another session fills this object too. 0: each fills its own, and who commits
  // second is told that it was a duplicate.
  uint8_t unless_begun;
  uint8_t reserved[33];
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

// Where the engine really went on: what a receipt's hit, replayed and missed tokens follow.
enum class ResumedHow : uint8_t {
  kUnsaid = 0,   // never sent: the daemon goes by what it delivered
  kExact = 1,    // at the checkpoint or block end that match named
  kSpan = 2,     // at the end of the spans, after replaying some tokens
  kCut = 3,      // earlier, where loading more did not pay or did not come in time
  kNothing = 4,  // computed from the first token on
};

// Of the session's present turn. May be sent more than once, by any of its processes; the last word
// wins, and the output tokens are those so far.
struct ResumedArgs {
  uint64_t request_id;       // as in the match; another one is kNotFound. 0: whichever is present
  uint32_t resumed_tokens;   // tokens before it were not computed, but for replayed_tokens
  uint32_t replayed_tokens;  // of these; with kSpan only
  uint32_t output_tokens;    // so far
  uint8_t how;               // ResumedHow
  uint8_t reserved[27];
};

// All positions at which a prompt could be resumed, the deepest first; nothing is pinned.
struct PositionsArgs {
  uint32_t unit_count;     // as in MatchArgs
  uint32_t prompt_tokens;  // P
  uint32_t have_tokens;    // held by the engine: not counted into load estimates
  // ResumePosition entries go to descriptor_index.. of the descriptor area: at most
  // max_positions, at least 1 and at most kMaxPositions.
  uint32_t descriptor_index;
  uint32_t max_positions;
  // 0: exact positions, and the spans' end where the layout allows a replay. 1: every block end,
  // with what it takes to replay.
  uint8_t every_block;
  uint8_t reserved[27];
};
inline constexpr uint32_t kMaxPositions = 4096;

// How much of a chain is here; nothing is pinned and nothing counts as used.
struct LocateArgs {
  uint32_t unit_count;  // chain hashes 1..unit_count stand in the hash arena
  uint32_t reserved[11];
};

// The session goes on with another prompt, as if it had just been opened: hashes of the new one
// stand in the arena from the next submission on. kBusy while it has another process, a lease, a
// fill, or a request that is not answered.
struct ResetArgs {
  uint64_t conversation;  // as OpenSessionRequest has it, of the new prompt
  uint64_t reserved[5];
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
    ResumedArgs resumed;
    PositionsArgs positions;
    LocateArgs locate;
    ResetArgs reset;
    uint64_t words[6];
  } args;
};
static_assert(sizeof(Submission) == 64 && std::is_trivially_copyable_v<Submission>);
static_assert(sizeof(MatchArgs) == 48 && sizeof(LoadArgs) == 48 && sizeof(BeginFillArgs) == 48);
static_assert(sizeof(CommitArgs) == 48 && sizeof(AdviseArgs) == 48 && sizeof(SupersedeArgs) == 48);
static_assert(sizeof(ResumedArgs) == 48 && sizeof(PositionsArgs) == 48 && sizeof(LocateArgs) == 48);
static_assert(sizeof(ResetArgs) == 48);

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

// Tokens by TierId; a place without a tier stays 0.
struct TierTokens {
  std::array<uint32_t, kTierPlaces> of;
  uint32_t& operator[](TierId tier) { return of[static_cast<size_t>(tier)]; }
  uint32_t operator[](TierId tier) const { return of[static_cast<size_t>(tier)]; }
};

struct MatchResult {
  uint64_t lease;          // 0 when nothing was found
  uint32_t exact_tokens;   // resume here: bit-exact
  uint32_t span_tokens;    // s: append pages are present up to here, pinned too
  uint32_t replay_tokens;  // to resume at s instead: tokens to replay; 0 = not allowed
  uint32_t branch_tokens;  // a checkpoint is wanted here: an earlier session diverged; 0 = none
  uint32_t limit_tokens;   // where the limit bit: exact_tokens, or a position up to span_tokens
  // Resume here for the earliest first token: loading up to here costs less than computing, by the
  // prefill curve and load_estimate_us. At most exact_tokens, and equal to it without a curve.
  uint32_t cut_tokens;
  uint32_t load_estimate_us;
  TierTokens tokens;  // of exact_tokens: the nearest tier that has them
  uint8_t limit;      // MatchLimit
  uint8_t limit_group;
  uint8_t replay_exact;  // 1: a replay reproduces the bytes
  uint8_t diverged;      // 1: behind span_tokens an earlier session went on otherwise
  uint8_t reserved[52];
};

// With kDeadlineExceeded, kIoError and kCorrupt the completion carries the usable head all the same
// (law 15): block_count whole blocks from first_block on; their descriptors are valid and their
// pages stay pinned under the lease. The checkpoint is delivered whole or not at all, and only
// behind every block asked for: no descriptor changes its place. Any other code: nothing was
// delivered.
//
// kRuns: the counts are of pages all the same, and the runs stand at the end of the room given. Of
// a run only the pages before block_count are delivered, and with checkpoint_count 0 nothing of the
// checkpoint's runs.
struct LoadResult {
  uint32_t descriptor_count;  // written from LoadArgs::descriptor_index on
  uint32_t block_count;       // blocks whose pages are all delivered (the usable head)
  uint32_t checkpoint_count;  // descriptors at the end that belong to the checkpoint
  uint32_t run_count;         // kRuns, else 0
  uint32_t first_run;         // kRuns: from LoadArgs::descriptor_index on
  uint32_t reserved[23];
};

struct BeginFillResult {
  uint64_t fill;      // 0 when duplicate
  uint8_t duplicate;  // 1: present already, nothing to write
  // With duplicate. 1: the groups asked for are written, but not yet those of other processes: the
  // object becomes visible with them.
  uint8_t incomplete;
  // With duplicate. 1: nothing is present, but the checkpoint was offered (CheckpointReason) and is
  // not wanted: another one lies near enough before it, or none is asked for.
  uint8_t unwanted;
  uint8_t reserved[101];
};

struct CommitResult {
  uint8_t visible;     // 1: all groups are in, the object can be hit; 0: peers' groups are missing
  uint8_t duplicate;   // 1: another session's commit came first; its bytes serve
  uint8_t superseded;  // 1: the session's previous checkpoint was dropped
  uint8_t reserved[109];
};

struct SupersedeResult {
  uint8_t dropped;  // 0: pinned, a branch point, or not there
  uint8_t reserved[111];
};

// Tokens of a turn, as its receipt says: hit + replayed + missed = prompt.
struct TurnTokens {
  uint32_t prompt;
  uint32_t hit;
  uint32_t replayed;
  uint32_t missed;
  uint32_t output;
  uint32_t written;  // so far
};

struct ResumedResult {
  uint32_t turn;      // in its session, from 1 on
  TurnTokens tokens;  // from this word on
  uint32_t reserved[21];
};

struct PositionsResult {
  uint32_t count;        // entries written
  uint32_t span_tokens;  // as in MatchResult
  uint32_t exact_tokens;
  uint8_t complete;  // 0: there may be more: max_positions, or the bound of one search, was hit
  uint8_t reserved[99];
};

struct LocateResult {
  uint32_t span_tokens;   // present from token 0 on, in whichever tier
  uint32_t exact_tokens;  // of these can be resumed: a block end, or a checkpoint
  TierTokens tokens;      // of span_tokens: the nearest tier that has them
  uint32_t load_estimate_us;
  uint32_t reserved[21];
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
    ResumedResult resumed;
    PositionsResult positions;
    LocateResult locate;
    uint64_t words[14];
  } result;
};
static_assert(sizeof(Completion) == 128 && std::is_trivially_copyable_v<Completion>);
static_assert(sizeof(MatchResult) == 112 && sizeof(LoadResult) == 112);
static_assert(sizeof(CommitResult) == 112 && sizeof(BeginFillResult) == 112);
static_assert(sizeof(PositionsResult) == 112 && sizeof(LocateResult) == 112);
static_assert(offsetof(MatchResult, tokens) == 36 && offsetof(MatchResult, limit) == 52);
static_assert(offsetof(MatchArgs, unit_count) == 8);
static_assert(offsetof(MatchArgs, prefill_us_per_ktoken) == 20);
static_assert(offsetof(LoadArgs, progress_slot) == 34 && offsetof(LoadArgs, form) == 35);
static_assert(offsetof(LoadResult, run_count) == 12);

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

// Pages of one group in one segment, those of adjacent blocks `stride` bytes apart, in the place of
// a PageDescriptor. Page i is of block first_block + i, lies at offset + i * stride and has
// page_bytes of its group; all of them have the generation told. The runs of one group stand
// in the order of their blocks, the checkpoint's in front of all others. Checksums are not told:
// who wants to verify a page loads its block as pages, of the same lease.
struct PageRun {
  uint64_t offset;       // of the first page, in the segment
  uint32_t segment;      // SegmentId
  uint32_t generation;   // of each slot when it was pinned
  uint32_t first_block;  // of the context; of a checkpoint's page: its place among these
  uint32_t page_count;   // of a checkpoint: 1
  uint32_t stride;       // page_bytes of the group, rounded up to kPageAlignment
  uint16_t group;
  uint16_t flags;  // kRunOfCheckpoint
};
inline constexpr uint16_t kRunOfCheckpoint = 1;
static_assert(sizeof(PageRun) == sizeof(PageDescriptor) && offsetof(PageRun, first_block) == 16);
static_assert(kMaxPageBytes < UINT32_MAX);  // a stride

// One entry of a positions answer, in the place of a PageDescriptor.
struct ResumePosition {
  uint32_t tokens;         // resume here
  uint32_t replay_tokens;  // to be replayed for it; 0 with kExact
  TierTokens tier_tokens;  // of `tokens`: the nearest tier that has them
  uint32_t load_estimate_us;
  uint8_t how;           // ResumedHow: kExact or kSpan
  uint8_t replay_exact;  // 1: the replay reproduces the bytes
  uint16_t reserved;
};
static_assert(sizeof(ResumePosition) == sizeof(PageDescriptor));

}  // namespace quire::model
