// The requests that were taken and are not answered, and the attachments that have answers to be
// published: what the dispatcher and its parts for fills and loads share. Threads: core only.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "model/clock.h"
#include "model/ring_frames.h"
#include "server/rings/pending.h"
#include "server/rings/request_times.h"
#include "server/rings/session.h"

namespace quire::server {

class Requests {
 public:
  Requests(PendingTable table, const model::Clock* clock, uint32_t default_deadline_ms)
      : table_(std::move(table)), clock_(clock), default_deadline_ms_(default_deadline_ms) {}

  PendingTable& table() { return table_; }
  const PendingTable& table() const { return table_; }
  RequestTimes& times() { return times_; }
  const RequestTimes& times() const { return times_; }

  // When a request that is taken now is late.
  int64_t deadline_ns(const model::Submission& submission) const;
  PendingRequest make(Attachment& attachment, const model::Submission& submission) const;
  // One that was made just now waits, or is under way.
  PendingId add(Attachment& attachment, const PendingRequest& request, const Wait& wait);
  // It holds up nothing any more. `id`: its record, if it waited.
  PendingId go_under_way(Attachment& attachment, const model::Submission& submission, PendingId id,
                         WaitsFor what);
  // Answered, or nobody is left to be told. What may go on now is its attachment's next turn.
  PendingRequest end(PendingId id);
  // What it waited for may be there.
  void wake(PendingId id);

  // Outside of its own turn: published with publish().
  void complete(Attachment& attachment, const model::Completion& completion) {
    attachment.lane().complete(completion);
    touched_.push_back(&attachment);
  }
  // One wake-up a client for all that was completed since.
  void publish();
  // Before the attachment goes; its completions are not published.
  void forget(Attachment& attachment) { std::erase(touched_, &attachment); }

  // Whether one who was woken for a copy job ended without it, since it was asked last.
  bool take_left_job() { return std::exchange(job_left_, false); }

 private:
  PendingTable table_;
  const model::Clock* clock_;
  const uint32_t default_deadline_ms_;
  RequestTimes times_{model::kVerbCount};
  std::vector<Attachment*> touched_;  // have unpublished completions
  bool job_left_ = false;
};

}  // namespace quire::server
