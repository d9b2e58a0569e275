// Serves the rings: one submission in, exactly one completion out, also on failure.
//
//   submission --match, load, release, begin_fill, supersede, advise, resumed, positions, locate-->
//                                  completion at once
//              --commit--> copy job --copy workers--> finish_copies() --> completion
//                          --parent span still being written--> WaitingCommits --> completion
//              --load of what is below---> TieredLoads --> completion, also with a usable head
//              --load with verify_hits--> HitChecks --> completion
//              --long load or release--> goes on with the next turn of its client
//              --no memory yet--> parked until memory comes or its deadline passes; meanwhile the
//                                 ring is served on, but for what is of the same verb
//
// Threads: core only. Attachments and sessions are the registry's; the dispatcher only borrows them
// for as long as copies_in_flight is above zero.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "server/rings/advisor.h"
#include "server/rings/copy_jobs.h"
#include "server/rings/hit_checks.h"
#include "server/rings/memory_check.h"
#include "server/rings/session.h"
#include "server/rings/tiered_loads.h"
#include "server/rings/turn_meter.h"
#include "server/rings/waiting_commits.h"
#include "tiering/io/copy_engine.h"

namespace quire::server {

struct DispatcherOptions {
  bool verify_hits = false;  // check every page's CRC32C before it is delivered
  uint32_t default_deadline_ms = 10'000;
  TurnSink* turn_sink = nullptr;  // is told of each turn that ends; null: nobody is
};

struct DispatcherCounters {
  model::Counter submissions{"submissions", "Requests taken from rings"};
  model::Counter parked{"parked", "Requests that had to wait for memory"};
  model::Counter deadline_exceeded{"deadline_exceeded", "Requests whose deadline came first"};
  model::Counter copied_bytes{"copied_bytes", "Bytes copied from staging areas"};
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

  // Takes finished copies back from the workers; settles a bounded number of the commits that
  // waited for their parent span, or whose time is over. Returns how many there were.
  size_t finish_copies();
  size_t waiting_commits() const { return waiting_.count(); }

  // Completes loads whose pages came from lower tiers, or whose time is over. Returns how many.
  size_t finish_loads();
  size_t waiting_loads() const { return loads_.count(); }

  // Law 5: nothing completes to the attachment any more. Its leases and fills go in steps.
  void end(Attachment& attachment);
  // One step, which lowers `budget` by what it did. True when nothing is left of an ended
  // attachment: no lease or fill of it, and no copy that touches its memory.
  bool step_end(Attachment& attachment, uint32_t& budget);
  // The last of the session's attachments is gone, and what it held.
  void end_session(Session& session) { turns_.end(session); }

  // Work that no request waits for: one bounded step. True when something moved.
  bool background(int64_t now_ns);
  // Whether background() should be called again soon.
  bool has_background() const { return memory_check_.status().running; }
  MemoryCheck& memory_check() { return memory_check_; }
  const MemoryCheck& memory_check() const { return memory_check_; }
  size_t paused_count() const { return advisor_.pause_count(); }

  const DispatcherCounters& counters() const { return counters_; }
  void describe(model::MetricSink& sink) const;
  const TurnTotals& turn_totals() const { return turns_.totals(); }
  uint64_t checksum_failures() const { return checks_.failures() + memory_check_.status().bad; }

 private:
  enum class Step : uint8_t { kDone, kPark, kMore };  // kMore: goes on with the next turn
  Dispatcher(cache::Cache* cache, tiering::CopyEngine* copies, tiering::TierSet* tiers,
             const model::Clock* clock, const DispatcherOptions& options, CopyJobs jobs,
             WaitingCommits waiting);

  Step handle(Attachment& attachment, const model::Submission& submission, int64_t deadline,
              uint32_t steps_left);
  Step handle_counted(Attachment& attachment, const model::Submission& submission, int64_t deadline,
                      uint32_t& steps_left);
  void park(Attachment& attachment, const model::Submission& submission, Step step);
  bool retry_parked(Attachment& attachment, uint32_t& steps_left);
  Step retry_one(Attachment& attachment, ParkedSubmission& parked, uint32_t& stuck,
                 uint32_t& steps_left);
  Step release(Attachment& attachment, const model::Submission& submission, uint32_t steps_left);
  void match(Attachment& attachment, const model::Submission& submission);
  void resumed(Attachment& attachment, const model::Submission& submission);
  Step load(Attachment& attachment, const model::Submission& submission, uint32_t steps_left);
  model::Errc begin_load(Attachment& attachment, const model::Submission& submission);
  void finish_load(Attachment& attachment, const model::Submission& submission,
                   std::span<model::PageDescriptor> out);
  Step begin_fill(Attachment& attachment, const model::Submission& submission);
  Step commit(Attachment& attachment, const model::Submission& submission, int64_t deadline);
  void abort_fill(Attachment& attachment, const model::Submission& submission);
  void supersede(Attachment& attachment, const model::Submission& submission);
  void advise(Attachment& attachment, const model::Submission& submission);

  int64_t deadline_ns(const model::Submission& submission) const;
  void wait_for_tiers(Attachment& attachment, const model::Submission& submission,
                      std::span<model::PageDescriptor> out, LoadFacts facts);
  void deliver(const WaitingLoad& waiting, model::Errc code);
  void complete_load(Attachment& attachment, const LoadFacts& facts, model::Completion completion,
                     const model::LoadResult& result);

  void finish_check(CopyJob* job);
  void finish_commit(CopyJob* job);
  void deliver(const cache::Linked& linked, const WaitingCommit& commit);
  size_t settle_waiting();
  size_t expire_waiting();
  void complete_commit(Attachment& attachment, uint64_t user_data, model::Errc code,
                       const cache::Linked& linked);
  void update_progress(Session& session);

  cache::Cache* cache_;
  tiering::CopyEngine* copies_;
  tiering::TierSet* tiers_;  // null: none
  TieredLoads loads_;
  const model::Clock* clock_;
  DispatcherOptions options_;
  CopyJobs jobs_;
  HitChecks checks_;
  MemoryCheck memory_check_;
  Advisor advisor_;
  TurnMeter turns_;
  std::vector<cache::Linked> linked_;  // scratch of one call
  WaitingCommits waiting_;             // copied, but the parent span is still being written
  std::vector<Attachment*> touched_;   // have unpublished completions
  DispatcherCounters counters_;
};

}  // namespace quire::server
