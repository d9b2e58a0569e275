// Layout of the memory that a client and the daemon share. Each memfd has one writing side (one
// writer per word):
//
//  control (client writes)            reply (daemon writes; clients map it read-only)
//  +---------------------------+      +---------------------------+
//  | ControlHeader   4096 B    |      | ReplyHeader     4096 B    |
//  | Submission[ring_entries]  |      | Completion[ring_entries]  |
//  | Hash256[max_units]        |      | PageDescriptor[max_load]  |
//  +---------------------------+      +---------------------------+
//  progress (daemon writes): ProgressHeader, one per session, shared by its members
//
// The first two and the doorbells are a lane: the memory of one process for one session at a time.
// What is committed comes from a staging area (client writes), which the sessions of a process
// share; which part of it is whose is the process's own business.
//
// Offsets are computed from the sizes in the session reply on both sides; none is stored in shared
// memory. hash arena entry i = chain hash after i + 1 units.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "model/hash256.h"
#include "model/ring.h"
#include "model/ring_frames.h"
#include "model/session_role.h"

namespace quire::model {

inline constexpr uint32_t kMinRingEntries = 8;
inline constexpr uint32_t kMaxRingEntries = 4096;
inline constexpr uint32_t kMaxLoadPages = 1 << 20;
inline constexpr uint64_t kMaxStagingBytes = 1ull << 31;

struct ControlHeader {
  RingWord submission_tail;
  RingWord completion_head;
  RingWord client_sleeping;  // 1: the daemon must write the wakeup after publishing
};
static_assert(sizeof(ControlHeader) <= 4096);

inline constexpr uint32_t kLoadProgressSlots = 16;

// load_ready[s]: of the load in flight with progress slot s + 1, how many descriptors are written
// and valid, their pages pinned under the lease until its release, from LoadArgs::descriptor_index
// on, without a gap. Writer: the daemon, release, after the descriptors; reader: the client,
// acquire. It only grows while the load is in flight and is 0 at all other times: the daemon clears
// it when it takes the load, and again before it publishes the completion, or the next load in the
// slot would show this one's count until the daemon takes it. From the completion on
// LoadResult::descriptor_count holds.
struct ReplyHeader {
  RingWord submission_head;
  RingWord completion_tail;
  RingWord daemon_sleeping;  // 1: the client must ring the doorbell after publishing
  RingWord closed;           // 1: the session ended; nothing more will complete
  alignas(64) std::atomic<uint32_t> load_ready[kLoadProgressSlots];
};
static_assert(sizeof(ReplyHeader) <= 4096);
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == 4);
static_assert(offsetof(ReplyHeader, load_ready) == 4 * sizeof(RingWord));

// How far a session's commits have come. Writer: the daemon's core, release; readers: any member,
// acquire. A value only grows, but for members and the words about checkpoints, and until the
// session is reset to another prompt. ready_tokens[l]: tokens of which
// all append groups that hold layer l are visible.
inline constexpr uint32_t kProgressLayers = 1000;
struct ProgressHeader {
  alignas(64) std::atomic<uint32_t> committed_tokens;  // spans visible without a gap, in tokens
  std::atomic<uint32_t> checkpoint_tokens;             // latest checkpoint committed
  std::atomic<uint32_t> members;                       // attached processes
  std::atomic<uint32_t> layer_count;
  // to_shared_word() of the checkpoints that are asked for (model/checkpoint_policy.h), from before
  // the session was opened on; may change at any time, and stands by itself. 0: the default.
  std::atomic<uint32_t> checkpoints;
  // Of the session's tail, from before it was opened on; where it is learnt a match that begins a
  // turn may change it, before it is answered.
  std::atomic<uint32_t> tail_tokens;
  // Of a hand-over from prefill to decode (SessionRole): how it stands (Handover), and up to where
  // loads of decode processes have taken it.
  std::atomic<uint32_t> handover;
  std::atomic<uint32_t> taken_tokens;
  // How far prefill may be ahead of them; 0: as far as it likes, as without a decode process that
  // could take anything any more.
  std::atomic<uint32_t> ahead_tokens;
  alignas(64) std::atomic<uint32_t> ready_tokens[kProgressLayers];
};
inline constexpr uint64_t kProgressBytes = 8192;
static_assert(sizeof(ProgressHeader) <= kProgressBytes);
static_assert(offsetof(ProgressHeader, checkpoints) == 16 &&
              offsetof(ProgressHeader, tail_tokens) == 20 &&
              offsetof(ProgressHeader, handover) == 24 &&
              offsetof(ProgressHeader, ready_tokens) == 64);

struct ControlGeometry {
  uint64_t submissions_offset;
  uint64_t hashes_offset;
  uint64_t bytes;  // whole pages
};
ControlGeometry control_geometry(uint32_t ring_entries, uint32_t max_units);

struct ReplyGeometry {
  uint64_t completions_offset;
  uint64_t descriptors_offset;
  uint64_t bytes;
};
ReplyGeometry reply_geometry(uint32_t ring_entries, uint32_t max_load_pages);

inline constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace quire::model
