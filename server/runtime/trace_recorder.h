// Records what the daemon's clients ask for, for operators (FrameType::kTrace): each request, what
// it wrote and how it ended, as keys that mean something within the recording alone.
//
//   core: matched, wrote, ended --words--> queue of a recording --helper thread: keys--> pipe
//   core: start, forget, reclaim           phases below
//
//   kFree --start--> kRecording --time is over, forget--> kClosing --all is out--> kGone --> kFree
//                        '--nobody reads any more-----------'-----------------------^
//
// The core copies one word a block into a queue and never waits: what finds no room is left out,
// counted, and told of at its place in the stream. A reader that is slow, or stopped, fills its
// pipe and its queue, and then loses records of its own recording. Nobody records: a request costs
// the look at is_active().
//
// Phases: each is an atomic, stored with release, loaded with acquire. Who is in kRecording or
// kClosing owns by that what it uses: the core pushes while it sees kRecording; the helper alone
// leaves kClosing and touches nothing of a recording after it stored kGone; the core alone frees it
// then. Threads: core, but for run_once(), which is the helper's. Bounds: kMostRecordings, their
// queues, kMaxTraceKeys a request; a closing one has kDrainNs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/tree/chain_view.h"
#include "model/clock.h"
#include "model/hash256.h"
#include "model/helper_thread.h"
#include "model/result.h"
#include "model/trace_wire.h"
#include "server/runtime/pipe_writer.h"
#include "tiering/io/spsc_queue.h"

namespace quire::server {

// What a recording is of.
struct TraceFilter {
  std::optional<uint32_t> uid;        // none: all users
  std::optional<std::string> tenant;  // none: all tenants
};

struct TraceStart {
  const void* owner = nullptr;  // whose end is the recording's
  model::FdGuard write_end;     // non-blocking
  int64_t for_ns = 0;           // 0: as long as its owner is there, and reads
  TraceFilter filter;
};

// Whose turn it is. Lent for the call.
struct TraceTurn {
  uint64_t session = 0;
  uint32_t turn = 0;
  uint32_t uid = 0;
  std::string_view tenant;
};

// A request that opened a turn, and what of it was found.
struct TraceMatch {
  TraceTurn turn;
  uint32_t conversation = 0;  // same for all sessions of one, of one user
  cache::ChainView chain{nullptr, 0};
  uint32_t units_per_block = 1;
  uint32_t block_tokens = 0;
  uint32_t prompt_tokens = 0;
  uint32_t hit_tokens = 0;
};

class TraceRecorder {
 public:
  static constexpr size_t kMostRecordings = 2;
  static constexpr uint32_t kQueueWords = 1 << 17;
  static constexpr int64_t kDrainNs = 5'000'000'000;

  // `clock` outlives it. Without a thread, whoever made it calls run_once(); else one is started
  // with the first recording.
  TraceRecorder(const model::Clock* clock, bool with_thread)
      : clock_(clock), with_thread_(with_thread) {}

  // kBusy: there are kMostRecordings. kResourceExhausted, kIoError.
  model::Result<void> start(TraceStart start);
  // The owner is gone: what was recorded so far still goes out to who reads on.
  void forget(const void* owner);
  // Whether anybody records. What follows is for then; otherwise it does nothing, slowly.
  bool is_active() const { return active_; }
  void matched(const TraceMatch& match);
  // `key`: the chain hash at the end of a block, `block` from 0 on.
  void wrote(const TraceTurn& turn, uint32_t block, const model::Hash256& key);
  void ended(const TraceTurn& turn, uint64_t output_tokens);
  // Gives back what recordings held that are over.
  void reclaim();

  // Sends on what waits, of all recordings, as far as their pipes take it.
  std::chrono::milliseconds run_once();

 private:
  enum class Phase : uint8_t { kFree, kRecording, kClosing, kGone };
  struct Recording {
    std::atomic<Phase> phase{Phase::kFree};
    std::atomic<uint64_t> lost{0};  // written by the core
    std::unique_ptr<tiering::SpscQueue<uint64_t>> queue;
    // Core.
    const void* owner = nullptr;
    TraceFilter filter;
    uint64_t untold_lost = 0;
    // Helper, but for start.
    std::optional<PipeWriter> writer;
    model::Hash256 key;
    int64_t start_ns = 0;
    int64_t until_ns = 0;
    int64_t close_by_ns = 0;  // 0: it is not closing yet
    std::vector<uint64_t> record;
    bool end_is_put = false;
  };

  // --- core ---
  void push(Recording& to, const model::TraceRecord& record, const TraceMatch* match);
  template <typename Push>
  void tell(const TraceTurn& turn, Push complete_and_push);
  // --- helper ---
  // True: there may be more to do at once.
  bool send(Recording& from);
  // False: not all of one is there yet.
  bool take_record(Recording& from);
  // What is sent of the record that was taken.
  void make_keyed(Recording& of);
  void close(Recording& recording);

  const model::Clock* clock_;
  const bool with_thread_;
  bool active_ = false;  // the core's
  std::array<Recording, kMostRecordings> recordings_;
  model::HelperThread helper_;  // last: ends before what it uses goes
};

}  // namespace quire::server
