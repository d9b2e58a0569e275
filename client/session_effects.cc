// What the outcome of a request does to the session's leases, fills and areas.
#include <string>

#include "client/session_impl.h"

namespace quire::client {

using model::Completion;
using model::Errc;
using model::Verb;

namespace {

bool succeeded(const Completion& completion) {
  return completion.code == static_cast<int32_t>(Errc::kOk);
}

}  // namespace

bool has_pages(const Completion& completion) {
  if (static_cast<Verb>(completion.verb) != Verb::kLoad) return false;
  switch (static_cast<Errc>(completion.code)) {
    case Errc::kOk:
      return true;
    // A load that failed in one of these ways may have delivered its head.
    case Errc::kDeadlineExceeded:
    case Errc::kIoError:
    case Errc::kCorrupt:
      return completion.result.load.block_count > 0 || completion.result.load.checkpoint_count > 0;
    default:
      return false;
  }
}

model::Error completion_error(const Completion& completion) {
  const Errc code = static_cast<Errc>(completion.code);
  return model::make_error(code, std::string(model::verb_name(static_cast<Verb>(completion.verb))) +
                                     " failed: " + std::string(model::errc_name(code)));
}

void SessionImpl::apply(Request& request) {
  switch (request.verb) {
    case Verb::kMatch:
      return apply_match(request);
    case Verb::kBeginFill:
      return apply_begin_fill(request);
    case Verb::kCommit:
    case Verb::kAbortFill:
      return apply_fill_end(request);
    case Verb::kLoad:
      return end_load(request);
    case Verb::kReset:
      resetting_ = false;
      if (succeeded(request.completion)) tokens_.restart();
      return;
    case Verb::kNoop:
    case Verb::kRelease:
    case Verb::kSupersede:
    case Verb::kAdvise:
    case Verb::kResumed:
    case Verb::kPositions:
    case Verb::kLocate:
      return;
  }
}

void SessionImpl::apply_match(const Request& request) {
  const model::MatchResult& match = request.completion.result.match;
  if (succeeded(request.completion) && match.lease != 0) leases_.add(match);
}

void SessionImpl::apply_begin_fill(Request& request) {
  const model::BeginFillResult& result = request.completion.result.begin_fill;
  if (!succeeded(request.completion) || result.duplicate) return free_staging(request.run);
  // The staging run passes from the request to the fill, and is free again at the fill's end.
  fills_.add({.fill = result.fill, .groups = request.groups, .run = request.run});
}

// An abort ends the fill whatever the daemon says, and so does a commit, unless it was refused
// before the daemon took the bytes.
void SessionImpl::apply_fill_end(const Request& request) {
  OpenFill* fill = fills_.find(request.object, request.staging_offset);
  if (fill == nullptr) return;
  fill->ending = false;
  const Errc code = static_cast<Errc>(request.completion.code);
  const bool refused =
      code == Errc::kBusy || code == Errc::kDeadlineExceeded || code == Errc::kInvalidArgument;
  if (request.verb == Verb::kCommit && refused) return;
  free_staging(fill->run);
  fills_.remove(*fill);
}

void SessionImpl::end_load(Request& request) {
  if (request.progress_slot != 0) progress_slots_ &= ~(1u << (request.progress_slot - 1));
  request.progress_slot = 0;
  if (HeldLease* lease = leases_.find(request.object)) --lease->loading;
  if (!has_pages(request.completion)) free_descriptors(request.run);
}

// The caller stopped waiting, so nobody would ever give back what came after all.
void SessionImpl::undo_discarded(Request& request) {
  const Completion completion = request.completion;
  const Verb verb = request.verb;
  const uint64_t staging_offset = request.run.offset;  // of a begin_fill
  // What it holds goes before its slot; the outcome was copied above.
  free_descriptors_of(request);
  requests_.remove(request);
  // A session that ended holds nothing in the daemon.
  if (!succeeded(completion) || ended_) return;
  model::Submission::Args args{};
  if (verb == Verb::kMatch && completion.result.match.lease != 0) {
    const uint64_t lease = completion.result.match.lease;
    drop_lease(*leases_.find(lease));
    args.release.lease = lease;
    submit_unwatched(Verb::kRelease, args, {.object = lease});
  } else if (verb == Verb::kBeginFill && !completion.result.begin_fill.duplicate) {
    args.abort_fill.fill = completion.result.begin_fill.fill;
    submit_unwatched(Verb::kAbortFill, args,
                     {.object = args.abort_fill.fill, .staging_offset = staging_offset});
  }
}

// Without room it is left undone: the daemon frees it with the session.
void SessionImpl::submit_unwatched(Verb verb, const model::Submission::Args& args,
                                   const Held& what) {
  Request* request = requests_.add(verb);
  if (request == nullptr) return;
  // Its own completion is nobody's either.
  request->discarded = true;
  request->object = what.object;
  request->staging_offset = what.staging_offset;
  if (submit(*request, args).ok()) channel_->flush();
}

// Pages of a released lease are nobody's any more: their room and slots must not wait for a caller
// who, having read a failure's code, never asks.
void SessionImpl::drop_untaken(HeldLease& lease) {
  if (lease.untaken == 0) return;
  for (Request& request : requests_.slots()) {
    const bool of_lease = request.state == RequestState::kHeld && request.verb == Verb::kLoad &&
                          request.object == lease.lease;
    if (!of_lease) continue;
    free_descriptors(request.run);
    requests_.remove(request);
  }
  lease.untaken = 0;
}

void SessionImpl::drop_lease(HeldLease& lease) {
  // One user less for each time that a load found the segment: what was retired may be unmapped
  // now.
  attachment_->release_segments(lease.segments);
  leases_.remove(lease);
}

void SessionImpl::free_staging(AreaRun& run) {
  if (run.length > 0) staging_->free(run.offset, run.length);
  run = {};
}

// What the daemon still copies for an ended session becomes of nothing, so others may write there.
void SessionImpl::free_all_staging() {
  for (OpenFill& fill : fills_.all()) free_staging(fill.run);
  fills_.clear();
  for (Request& request : requests_.slots()) {
    const bool begins =
        request.verb == Verb::kBeginFill && request.state == RequestState::kInFlight;
    if (begins) free_staging(request.run);
  }
}

void SessionImpl::free_descriptors_of(Request& request) {
  const bool has_run = request.verb == Verb::kLoad || request.verb == Verb::kPositions;
  if (has_run) free_descriptors(request.run);
}

void SessionImpl::free_descriptors(AreaRun& run) {
  if (run.length > 0) descriptors_.free(run.offset, run.length);
  run = {};
}

}  // namespace quire::client
