// Decides what goes to a tier below RAM, and when (DESIGN section 6): write-through soon after a
// commit, or write-back when memory runs short; admission and write budget; parents first. How a
// tier finds room and stores what it is given is its own.
//
//   fresh node --delay--> candidate --fits, room, admitted--> job --event--> durable: has a copy
//   RAM below the low watermark: the policy's next candidates, their whole path from the top
//
// Parents go before or with their children, so that what a crash leaves is prefix-closed but for
// the last cycle. A node under way is pinned and marked moving. Candidates that find no place in
// the queue are found again by a sweep over what is in RAM without a copy, when the queue has room.
// Threads: core only. Bounds: max_queued candidates, a part of RAM under way, the tier's records.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cache/cache.h"
#include "cache/objects/pin.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/admission.h"
#include "tiering/job_table.h"
#include "tiering/tier.h"

namespace quire::tiering {

enum class WritePolicy : uint8_t { kThrough = 0, kBack = 1 };

struct DemotionOptions {
  WritePolicy policy = WritePolicy::kThrough;
  uint32_t delay_ms = 50;        // write-through: the oldest waits so long for a longer run
  uint64_t ram_bytes = 0;        // the budget that the watermarks are part of
  double low_watermark = 0.08;   // free RAM below this: demote what the policy would drop
  double high_watermark = 0.12;  // what was demoted leaves RAM until this much is free
  size_t max_queued = 1 << 16;   // candidates
  AdmissionOptions admission;
};

struct DemotedCounters {
  model::Counter started{"started_objects", "Objects whose demotion began"};
  model::Counter failed{"failed_objects", "Objects not written, or not made durable"};
  model::Counter set_aside{"set_aside",
                           "Candidates that the queue had no place for; the sweep finds them"};
  model::Counter found_again{"found_again", "Candidates that the sweep found"};
  model::Counter too_large{"too_large_objects", "Objects refused: larger than the tier can hold"};
  model::Counter too_deep{
      "too_deep_objects",
      "Objects refused: the tier cannot hold them with all before them on their path"};
  model::Gauge largest_refused{"largest_refused_bytes", "Slot of the largest object refused"};
};
struct DemotionCounters : DemotedCounters {
  // Law 4.
  model::Counter corrupt_in_ram{"corrupt_in_ram",
                                "Objects that failed their checksum on the way out of RAM"};
};

struct DemotionParts {
  cache::Cache* cache = nullptr;
  Tier* tier = nullptr;
  const model::Clock* clock = nullptr;
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
    queue_.push_front({node, false, now_ns - int64_t{options_.delay_ms} * 1'000'000});
  }
  // From now on nothing waits for delay_ms; for a clean stop.
  void hurry() { options_.delay_ms = 0; }

  Admission& admission() { return admission_; }
  const Admission& admission() const { return admission_; }
  bool idle() const { return queue_.empty() && !sweeping_ && !sweep_due_; }
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
  struct Candidate {
    model::NodeId node;
    bool batch = false;  // written by a session of the batch class
    int64_t since_ns = 0;
  };
  // Spans, each the child of the one before; or one checkpoint.
  struct Run {
    std::vector<model::NodeId> nodes;
    bool batch = false;
    int64_t since_ns = 0;  // of its oldest candidate
  };
  // What the tier writes.
  struct WriteJob {
    // The parent's copy stays, or the child's would be lost with it.
    cache::Pin parent;
    std::array<cache::Pin, kMaxJobObjects> nodes;
    uint32_t left = 0;  // objects without an event
    int64_t since_ns = 0;
    uint64_t ram_bytes = 0;  // that it pins
  };
  enum class Started : uint8_t { kYes, kRefused, kLater };

  bool wanted(model::NodeId node) const;
  uint64_t free_ram_bytes() const;
  void enqueue(const Candidate& candidate);
  void sweep(int64_t now_ns);
  void gather_queue();
  bool gather_shortage(int64_t now_ns);
  void add_candidate(const Candidate& candidate);
  void append(model::NodeId node);
  bool start_runs(int64_t now_ns);
  // Starts what finds room, takes it off the run; kLater: the rest has yet to start.
  Started start_run(Run& run, int64_t now_ns);
  void start_job(Run& run, WriteRoom&& room);
  bool can_hold(const Candidate& candidate);
  void count_refusal(Fit fit, uint64_t bytes, size_t objects);
  bool admitted(const Run& run, uint64_t bytes, int64_t now_ns);
  model::Hash256 first_span_of(model::NodeId node) const;
  void finish_written(WriteJob& job, const TierEvent& event, int64_t now_ns);
  void finish_failed(WriteJob& job, const TierEvent& event);
  void note_lag(int64_t lag_ns);

  DemotionParts parts_;
  DemotionOptions options_;
  Admission admission_;
  std::deque<Candidate> queue_;
  JobTable<WriteJob> jobs_;
  std::vector<Run> runs_;                          // gathered in this step
  std::unordered_map<uint32_t, size_t> run_ends_;  // last node of a run -> its place in runs_
  std::unordered_set<uint32_t> in_runs_;
  Candidate adding_;              // the candidate whose path is being added
  std::vector<int64_t> lags_ns_;  // ring of kLags
  size_t next_lag_ = 0;
  uint64_t passed_over_ = 0;  // that the sweep knows of
  bool sweep_due_ = false;
  bool sweeping_ = false;
  uint32_t sweep_hand_ = 0;  // node id
  bool short_of_ram_ = false;
  int64_t retry_at_ns_ = 0;
  uint64_t bytes_under_way_ = 0;  // of pages that demotions pin
  DemotionCounters counters_;
};

}  // namespace quire::tiering
