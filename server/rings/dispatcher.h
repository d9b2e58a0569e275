// Serves the rings: one submission in, exactly one completion out, also on failure.
//
//   submission --supersede, advise, resumed, positions, locate, reset--> completion at once
//              --match--> [MatchSearch, where a tier is asked first] --> completion
//              --begin_fill, commit, abort_fill--> FillRequests
//              --load, release-------------------> LoadRequests
//              --long load or release--> goes on with the next turn of its client
//              --no memory, no copy job--> waits until it comes or the deadline passes; meanwhile
//                                 the ring is served on, but for what is of the same verb
//
// What waits is a record in PendingTable. An event makes it ready and its attachment active; then
// serve() goes on with it where it stood.
//
// Threads: core only. Attachments and sessions are the registry's; the dispatcher only borrows them
// for as long as copies_in_flight is above zero.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "server/rings/advisor.h"
#include "server/rings/copy_jobs.h"
#include "server/rings/fill_requests.h"
#include "server/rings/load_requests.h"
#include "server/rings/match_search.h"
#include "server/rings/memory_check.h"
#include "server/rings/requests.h"
#include "server/rings/session.h"
#include "server/rings/turn_meter.h"
#include "server/runtime/ghost_feed.h"
#include "tiering/io/copy_engine.h"

namespace quire::server {

struct DispatcherOptions {
  bool verify_hits = false;  // check every page's CRC32C before it is delivered
  uint32_t default_deadline_ms = 10'000;
  SearchOptions search;
  TurnSink* turn_sink = nullptr;    // is told of each turn that ends; null: nobody is
  GhostFeed* ghosts = nullptr;      // is told what is asked for and written; null: nobody is
  TraceRecorder* traces = nullptr;  // likewise
  TurnMemory* memory = nullptr;     // likewise
};

struct DispatcherCounters {
  model::Counter submissions{"submissions", "Requests taken from rings"};
  model::Counter parked{"parked", "Requests that had to wait for memory"};
  model::Counter deadline_exceeded{"deadline_exceeded",
                                   "Requests whose deadline came first",
                                   {model::MetricFamily::kRejected, R"(reason="deadline")"}};
  model::Gauge largest_steps{"largest_steps", "Steps of the cache that the dearest request took"};
};

class Dispatcher {
 public:
  // `copies` must take kMaxCopyJobs tasks at once. `tiers` may be null.
  static model::Result<std::unique_ptr<Dispatcher>> create(cache::Cache* cache,
                                                           tiering::CopyEngine* copies,
                                                           tiering::TierSet* tiers,
                                                           const model::Clock* clock,
                                                           const DispatcherOptions& options);

  enum class Served : uint8_t { kNothing, kSome, kScribbled };
  // Up to kSubmissionsPerTurn submissions of one attachment, none once `steps_left` is 0; what they
  // cost is taken from it. Publishes what was completed. kScribbled: ring indexes or a verb are
  // impossible; the caller ends the attachment (law 11).
  static constexpr uint32_t kSubmissionsPerTurn = 64;  // of one ring: others get their turn
  Served serve(Attachment& attachment, uint32_t& steps_left);

  // A turn of the core begins: what the last one answered took until now.
  void begin_turn(int64_t now_ns) { requests_.times().begin_turn(now_ns); }
  // Takes finished copies back from the workers, settles a bounded number of the commits that
  // waited for their parent span and of what is past its deadline, and wakes whom events of memory
  // and copy jobs are for. Returns how many there were.
  size_t finish_copies();
  // Commits whose parent span is still being written.
  size_t waiting_commits() const { return requests_.table().count(WaitsFor::kParent); }
  // Requests to begin a fill for which slots are missing.
  size_t waiting_for_memory() const { return requests_.table().count(WaitsFor::kMemory); }
  // The earliest deadline that finish_copies() has to keep; kNoDeadline: none.
  int64_t next_deadline_ns() const {
    return std::min(requests_.table().next_deadline_ns(), turns_.next_told_ns());
  }

  // Matches that a tier is asked for.
  size_t searching_matches() const { return requests_.table().count(WaitsFor::kSearch); }

  // Completes loads whose pages came from lower tiers, or whose time is over, and lets matches go
  // on whose question a tier answered. Returns how many.
  size_t finish_loads();
  // Loads that a lower tier serves, or that are delivered in pieces.
  size_t waiting_loads() const { return requests_.table().count(WaitsFor::kTier); }

  // Law 5: nothing completes to the attachment any more. Its leases and fills go in steps.
  void end(Attachment& attachment);
  // One step, which lowers `budget` by what it did. True when nothing is left of an ended
  // attachment: no lease or fill of it, and no copy that touches its memory.
  bool step_end(Attachment& attachment, uint32_t& budget);
  // The last of the session's attachments is gone, and what it held.
  void end_session(Session& session) { turns_.end(session); }
  // Sessions that end from now on end with the daemon.
  void stopping() { turns_.stop(); }

  // Work that no request waits for: one bounded step. True when something moved.
  bool background(int64_t now_ns);
  // Whether background() should be called again soon.
  bool has_background() const {
    return memory_check_.status().running || (ghosts_ != nullptr && ghosts_->has_work());
  }
  // The pass over pages in RAM; verbs of the socket start it.
  MemoryCheck& memory_check() { return memory_check_; }
  const MemoryCheck& memory_check() const { return memory_check_; }
  size_t paused_count() const { return advisor_.pause_count(); }

  const DispatcherCounters& counters() const { return counters_; }
  uint64_t copied_bytes() const { return fills_.counters().copied_bytes; }
  void describe(model::MetricSink& sink) const;
  // A row a verb: how long its requests took.
  void describe_times(model::MetricSink& sink) const;
  const TurnTotals& turn_totals() const { return turns_.totals(); }
  RecentFigures recent_hits() const { return turns_.recent(); }
  const TenantTotals& tenant_totals() const { return turns_.tenants(); }
  // Pages that were not what was sealed, found by hits and by passes.
  uint64_t checksum_failures() const {
    return loads_.check_failures() + memory_check_.status().bad;
  }

 private:
  Dispatcher(cache::Cache* cache, tiering::CopyEngine* copies, tiering::TierSet* tiers,
             const model::Clock* clock, const DispatcherOptions& options, CopyJobs jobs,
             PendingTable pending);

  // Of these nothing means: answered, or under way.
  std::optional<Wait> handle(Attachment& attachment, const model::Submission& submission,
                             PendingId id, uint32_t steps_left);
  std::optional<Wait> handle_counted(Attachment& attachment, const model::Submission& submission,
                                     PendingId id, uint32_t& steps_left);
  void keep(Attachment& attachment, const model::Submission& submission, const Wait& wait);
  bool run_ready(Attachment& attachment, uint32_t& steps_left);
  void run_queue(Attachment& attachment, uint16_t verb, uint32_t& steps_left);
  bool wake_for_copy_job(model::DomainId domain);
  size_t wake_waiting();
  size_t expire_pending();
  std::optional<Wait> match(Attachment& attachment, const model::Submission& submission,
                            PendingId id);
  void answer_match(Attachment& attachment, const model::Submission& submission);
  void resumed(Attachment& attachment, const model::Submission& submission);
  void supersede(Attachment& attachment, const model::Submission& submission);
  void advise(Attachment& attachment, const model::Submission& submission);

  cache::Cache* cache_;
  tiering::CopyEngine* copies_;
  tiering::TierSet* tiers_;  // null: none
  const model::Clock* clock_;
  CopyJobs jobs_;
  Requests requests_;
  TurnMeter turns_;
  FillRequests fills_;
  LoadRequests loads_;
  MatchSearch search_;
  GhostFeed* ghosts_;
  MemoryCheck memory_check_;
  Advisor advisor_;
  DispatcherCounters counters_;
};

}  // namespace quire::server
