// Decides what goes to the SSD and starts it (DESIGN section 6): write-through soon after a commit,
// or write-back when memory runs short; admission and write budget; room on the device; as it is,
// or encoded (CodecChooser).
//
//   fresh node --delay_ms--> candidate --admitted, room--> transfer --> committer --> on SSD
//   RAM below the low watermark: the policy's next candidates, their whole path from the top
//
// Parents go before or with their children, so that what a crash leaves is prefix-closed but for
// the last cycle. A node under way is pinned and marked moving. Candidates that find no place in
// the queue are found again by a sweep over what is in RAM without a copy, when the queue has room.
// Threads: core only. Bounds: max_queued candidates, the mover's transfers.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/metrics.h"
#include "tiering/codec_chooser.h"
#include "tiering/ssd/ssd_committer.h"
#include "tiering/ssd/ssd_room.h"
#include "tiering/ssd_admission.h"

namespace quire::tiering {

enum class WritePolicy : uint8_t { kThrough = 0, kBack = 1 };

struct DemoterOptions {
  WritePolicy policy = WritePolicy::kThrough;
  uint32_t delay_ms = 50;        // write-through: the oldest waits so long for a longer run
  uint64_t ram_bytes = 0;        // the budget that the watermarks are part of
  double low_watermark = 0.08;   // free RAM below this: demote what the policy would drop
  double high_watermark = 0.12;  // what was demoted leaves RAM until this much is free
  size_t max_queued = 1 << 16;   // candidates
  AdmissionOptions admission;
  CodecOptions codec;
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
struct EncodedCounters {
  model::Counter encoded_objects{"objects", "Objects written encoded"};
  model::Counter encoded_plain_bytes{"plain_bytes", "What these would have taken as they are"};
  model::Counter encoded_stored_bytes{"stored_bytes", "Slots that these took"};
  model::Counter encoded_misfits{
      "misfits", "Objects that did not fit their slot encoded: written as they are"};
};
struct DemoterCounters : DemotedCounters, EncodedCounters {
  // Law 4.
  model::Counter corrupt_in_ram{"corrupt_in_ram",
                                "Objects that failed their checksum on the way out of RAM"};
};

class SsdDemoter {
 public:
  static constexpr size_t kLags = 4096;

  SsdDemoter(const CommitterParts& parts, SsdCommitter* committer, const DemoterOptions& options,
             uint64_t first_generation);

  bool step(int64_t now_ns);
  // A finished object of a demotion.
  void on_settled(Transfer& transfer);
  // Queues a node again, for example because its copy turned out to be bad.
  void enqueue(model::NodeId node, int64_t now_ns) { enqueue({node, false, now_ns}); }
  // The node, and what of its path has no copy, before everything else and without delay.
  void enqueue_first(model::NodeId node, int64_t now_ns) {
    queue_.push_front({node, false, now_ns - int64_t{options_.delay_ms} * 1'000'000});
  }
  // Of a start that was counted late. Precondition: nothing was started yet.
  void set_first_generation(uint64_t generation) { next_generation_ = generation; }
  // From now on nothing waits for delay_ms; for a clean stop.
  void hurry() { options_.delay_ms = 0; }

  SsdAdmission& admission() { return admission_; }
  bool idle() const { return queue_.empty() && !room_.allocating() && !sweeping_ && !sweep_due_; }
  size_t queued() const { return queue_.size(); }
  uint64_t free_ram_bytes() const;
  // Write-back, and what is demoted is needed as free RAM.
  bool short_of_ram() const { return short_of_ram_; }
  const DemoterCounters& counters() const { return counters_; }
  void forget_layout(const cache::KnownLayout& layout) { codec_.forget(layout); }
  const CodecChooser& codec() const { return codec_; }
  const std::string& blocked_by() const { return blocked_by_; }
  const SsdRoom& room() const { return room_; }
  // From becoming a candidate to being durable, of the last kLags objects in no order.
  std::span<const int64_t> durable_lags_ns() const { return lags_ns_; }

 private:
  struct Candidate {
    model::NodeId node;
    bool batch = false;  // written by a session of the batch class
    int64_t since_ns = 0;
    bool as_it_is = false;  // encoded, it did not fit
  };
  // Spans, each the child of the one before; or one checkpoint.
  struct Run {
    std::vector<model::NodeId> nodes;
    bool batch = false;
    int64_t since_ns = 0;   // of its oldest candidate
    bool as_it_is = false;  // as of its candidates
  };
  enum class Started : uint8_t { kYes, kRefused, kLater };

  bool wanted(model::NodeId node) const;
  void take_fresh(int64_t now_ns);
  void enqueue(const Candidate& candidate);
  void sweep(int64_t now_ns);
  void gather_queue();
  bool gather_shortage();
  void add_candidate(const Candidate& candidate);
  void note_lag(int64_t lag_ns);
  void append(model::NodeId node);
  bool start_runs(int64_t now_ns);
  // Starts what finds adjacent slots, takes it off the run; kLater: the rest has yet to start.
  Started start_run(Run& run, int64_t now_ns);
  Started start_with_new_room(Run& run, uint64_t slot_bytes, int64_t now_ns);
  bool can_hold(const Candidate& candidate);
  bool make_room(model::NodeId node, uint64_t slot_bytes, int64_t now_ns);
  uint64_t regions_of_path(model::NodeId node, uint64_t slot_bytes) const;
  bool path_leaves_room(model::NodeId node, uint64_t slot_bytes, int64_t now_ns) const;
  bool admitted(const Run& run, uint64_t bytes, int64_t now_ns);
  model::Hash256 first_span_of(model::NodeId node) const;
  uint64_t slot_bytes_of(model::NodeId node, bool as_it_is);
  const cache::KnownLayout& layout_of(model::NodeId node) const;
  void choose_codec(Transfer& transfer, uint32_t object);
  void learn_codec(const Transfer& transfer, uint32_t written);
  void describe(Transfer& transfer, uint32_t object);
  void start_transfer(Transfer& transfer, const Run& run, const SsdRun& slots);
  void take_finished(int64_t now_ns);
  void let_go(Transfer& transfer, uint32_t object);
  void end(Transfer& transfer);
  void finish(Transfer& transfer, bool durable);

  CommitterParts parts_;
  SsdCommitter* committer_;
  DemoterOptions options_;
  SsdAdmission admission_;
  CodecChooser codec_;
  SsdRoom room_;
  uint64_t next_generation_;
  std::deque<Candidate> queue_;
  std::vector<Run> runs_;                          // gathered in this step
  std::unordered_map<uint32_t, size_t> run_ends_;  // last node of a run -> its place in runs_
  std::unordered_set<uint32_t> in_runs_;
  model::NodeId room_for_;        // room was last made for it
  Candidate adding_;              // the candidate whose path is being added
  std::vector<int64_t> lags_ns_;  // ring of kLags
  size_t next_lag_ = 0;
  std::string blocked_by_;    // why candidates wait; empty: they do not
  uint64_t passed_over_ = 0;  // that the sweep knows of
  bool sweep_due_ = false;
  bool sweeping_ = false;
  uint32_t sweep_hand_ = 0;  // node id
  bool short_of_ram_ = false;
  int64_t retry_at_ns_ = 0;
  uint64_t bytes_under_way_ = 0;  // of pages that demotions pin
  DemoterCounters counters_;
};

}  // namespace quire::tiering
