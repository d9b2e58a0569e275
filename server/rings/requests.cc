#include "server/rings/requests.h"

#include <algorithm>

#include "model/limits.h"

namespace quire::server {

using model::Submission;

int64_t Requests::deadline_ns(const Submission& submission) const {
  const uint32_t deadline_ms =
      submission.deadline_ms == 0 ? default_deadline_ms_ : submission.deadline_ms;
  return clock_->now_ns() + std::min(deadline_ms, model::kMaxDeadlineMs) * model::kNsPerMs;
}

// A lease that nobody releases would stay: a release waits for as long as it takes.
PendingRequest Requests::make(Attachment& attachment, const Submission& submission) const {
  const bool in_any_case = static_cast<model::Verb>(submission.verb) == model::Verb::kRelease;
  return {.attachment = &attachment,
          .session = &attachment.session(),
          .domain = attachment.session().domain,
          .deadline_ns = in_any_case ? kNoDeadline : deadline_ns(submission),
          .taken_ns = times_.turn_ns(),
          .submission = submission};
}

PendingId Requests::add(Attachment& attachment, const PendingRequest& request, const Wait& wait) {
  times_.kept(request.submission.verb);
  return table_.add(attachment.pending, request, wait);
}

PendingId Requests::go_under_way(Attachment& attachment, const Submission& submission, PendingId id,
                                 WaitsFor what) {
  if (!id.valid()) return add(attachment, make(attachment, submission), {what, {}});
  table_.wait(id, {what, {}});
  return id;
}

PendingRequest Requests::end(PendingId id) {
  // It may have been woken for a job that it leaves: the next one that waits is to be told.
  if (table_.waits(id).what == WaitsFor::kCopyJob) job_left_ = true;
  const PendingRequest request = table_.end(id);
  // Of who is gone nothing is answered.
  const bool answered = request.attachment != nullptr && !request.attachment->ended;
  if (answered) times_.ended(request.submission.verb, request.taken_ns);
  // Its ring may be armed, and the client asleep: nothing else would come back to what is ready.
  const bool more = request.attachment != nullptr && request.attachment->pending.ready_verbs != 0;
  if (more) request.attachment->activate();
  return request;
}

void Requests::wake(PendingId id) {
  table_.make_ready(id);
  table_.request(id).attachment->activate();
}

void Requests::publish() {
  for (Attachment* attachment : touched_) attachment->lane().publish();
  touched_.clear();
}

}  // namespace quire::server
