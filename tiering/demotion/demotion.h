// Decides what goes to a tier below RAM, and when (DESIGN section 6): write-through soon after a
// commit, or write-back when memory runs short; admission and write budget; parents first. How a
// tier finds room and stores what it is given is its own.
//
//   fresh node --delay--> candidate --fits, room, admitted--> job --event--> durable: has a copy
//   RAM below the low watermark: the policy's next candidates, their whole path from the top
//
// CandidateQueue holds who waits, DemotionRuns puts them together as the tier writes them, and
// DemotionJobs pins what is under way. Parents go before or with their children, so that what a
// crash leaves is prefix-closed but for the last cycle. Of several tiers each has a Demotion of its
// own, and an object is on its way to one at a time: what another tier writes just now waits here.
// Threads: core only. Bounds: max_queued candidates, the tier's records, and of each domain's RAM a
// part that all tiers together have under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/demotion/admission.h"
#include "tiering/demotion/candidate_queue.h"
#include "tiering/demotion/demotion_jobs.h"
#include "tiering/demotion/demotion_options.h"
#include "tiering/demotion/demotion_runs.h"
#include "tiering/demotion/flush.h"
#include "tiering/demotion/under_way.h"
#include "tiering/tier.h"

namespace quire::tiering {

struct DemotionParts {
  cache::Cache* cache = nullptr;
  Tier* tier = nullptr;
  const model::Clock* clock = nullptr;
  UnderWay* under_way = nullptr;  // of all tiers
};

class Demotion {
 public:
  static constexpr size_t kLags = 4096;

  Demotion(const DemotionParts& parts, const DemotionOptions& options);
  Demotion(const Demotion&) = delete;
  Demotion& operator=(const Demotion&) = delete;

  // Objects that were just added.
  void take_fresh(std::span<const cache::FreshNode> fresh, int64_t now_ns);
  // What came of writes, and what the tier has to say else.
  void take(const TierEvent& event, int64_t now_ns);
  bool step(int64_t now_ns);
  // The node, and what of its path has no copy, before everything else and without delay.
  void enqueue_first(model::NodeId node, int64_t now_ns) {
    queue_.add_first({node, false, now_ns - int64_t{options_.delay_ms} * 1'000'000});
  }
  // From now on nothing waits for delay_ms; for a clean stop.
  void hurry() { options_.delay_ms = 0; }

  // Everything in RAM that wants a copy is written now, whatever the write policy. Precondition: no
  // flush is running.
  void start_flush();
  const Flush& flush() const { return flush_; }

  Admission& admission() { return admission_; }
  const Admission& admission() const { return admission_; }
  bool idle() const { return queue_.idle(); }
  size_t queued() const { return queue_.size(); }
  // Write-back, and what is demoted is needed as free RAM.
  bool short_of_ram() const { return short_of_ram_; }
  // What is added gets a copy without being asked for.
  bool writes_through() const { return options_.policy == WritePolicy::kThrough; }
  const DemotionCounters& counters() const { return counters_; }
  // From becoming a candidate to being durable, of the last kLags objects in no order.
  std::span<const int64_t> durable_lags_ns() const { return lags_ns_; }
  // Of the section of what is written.
  void describe_written(model::MetricSink& sink) const;

 private:
  enum class Started : uint8_t { kYes, kRefused, kLater };

  uint64_t free_ram_bytes() const;
  int64_t delay_ns() const;
  bool step_flush(int64_t now_ns);
  void enqueue(const Candidate& candidate);
  void gather_queue();
  bool gather_shortage(int64_t now_ns);
  model::NodeId take_victim(model::DomainId domain, bool first);
  void add_candidate(const Candidate& candidate);
  bool is_anothers(model::NodeId node) const;
  bool start_runs(int64_t now_ns);
  // Starts what finds room, takes it off the run; kLater: the rest has yet to start.
  Started start_run(DemotionRun& run, int64_t now_ns);
  Started make_own_room(const DemotionRun& run);
  void start_job(DemotionRun& run, WriteRoom&& room);
  bool can_hold(const Candidate& candidate);
  void count_refusal(Fit fit, uint64_t bytes, size_t objects);
  bool is_worth_it(const DemotionRun& run, model::NodeId parent);
  bool has_enough_under_way(model::NodeId node) const;
  bool admitted(const DemotionRun& run, uint64_t bytes, int64_t now_ns);
  model::Hash256 first_span_of(model::NodeId node) const;
  std::string tenant_of(model::NodeId node) const;
  void finish_written(const TierEvent& event, int64_t now_ns);
  void finish_failed(const TierEvent& event);
  void note_lag(int64_t lag_ns);

  DemotionParts parts_;
  DemotionOptions options_;
  Admission admission_;
  CandidateQueue queue_;
  DemotionRuns runs_;  // gathered in this step
  // On their way to another tier, below one that is, or of a domain that has enough under way.
  std::vector<Candidate> waiting_;
  DemotionJobs jobs_;
  Flush flush_;
  std::vector<int64_t> lags_ns_;  // ring of kLags
  size_t next_lag_ = 0;
  // Fresh nodes that the store had no place for; of these the sweep knows.
  uint64_t passed_over_ = 0;
  bool short_of_ram_ = false;
  int64_t retry_at_ns_ = 0;
  DemotionCounters counters_;
};

}  // namespace quire::tiering
