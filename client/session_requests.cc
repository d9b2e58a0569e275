// The verbs of a session but loads and queries: check, reserve, submit; and picking up fills.
#include <algorithm>
#include <bit>
#include <string>

#include "client/session_impl.h"
#include "model/boundary.h"

namespace quire::client {

using model::Completion;
using model::Errc;
using model::FillKind;
using model::make_error;
using model::Result;
using model::Submission;
using model::Verb;

Result<Request*> SessionImpl::add_request(Verb verb) {
  QUIRE_TRY(check_settled());
  Request* request = requests_.add(verb);
  if (request != nullptr) return request;
  return make_error(Errc::kBusy, "too many requests: poll completions, take fills and pages");
}

Result<RequestId> SessionImpl::submit(Request& request, const Submission::Args& args,
                                      uint32_t deadline_ms) {
  Submission submission{};
  submission.user_data = request.id;
  submission.verb = static_cast<uint16_t>(request.verb);
  submission.deadline_ms = deadline_ms;
  submission.args = args;
  Result<void> put = channel_->put(submission);
  if (put.ok()) return request.id;
  // Nothing was put into the ring, so no completion comes for it.
  requests_.remove(request);
  return std::move(put).error();
}

Result<RequestId> SessionImpl::submit_noop() {
  return submit(*QUIRE_TRY(add_request(Verb::kNoop)), {});
}

// The last unit of a prompt may be partial: it has no hash, also where the engine hashes itself.
Result<void> SessionImpl::check_hashed(std::string_view verb, uint32_t tokens) const {
  if (tokens / layout_.unit_tokens <= tokens_.chain().size()) return {};
  return invalid(std::string(verb) + ": " + std::to_string(tokens) + " tokens, but hashes of " +
                 std::to_string(tokens_.chain().size() * layout_.unit_tokens) +
                 ": append the rest first");
}

Result<RequestId> SessionImpl::submit_match(uint32_t prompt_tokens, uint32_t have_tokens,
                                            const PrefillCost& cost, uint64_t request_id) {
  if (prompt_tokens == 0 || have_tokens > prompt_tokens) {
    return invalid("match: prompt_tokens is 0, or have_tokens above it");
  }
  QUIRE_TRY(check_hashed("match", prompt_tokens));
  // Matches in flight are not counted: the ring bounds those.
  if (leases_.count() >= kMaxHeldLeases) {
    return make_error(Errc::kBusy, "too many leases are held: release some");
  }
  Submission::Args args{};
  args.match.request_id = request_id;
  args.match.unit_count = prompt_tokens / layout_.unit_tokens;
  args.match.prompt_tokens = prompt_tokens;
  args.match.have_tokens = have_tokens;
  args.match.prefill_us_per_ktoken = cost.us_per_ktoken;
  args.match.prefill_us_per_ktoken_per_mtoken = cost.us_per_ktoken_per_mtoken;
  args.match.content = tokens_.content();
  return submit(*QUIRE_TRY(add_request(Verb::kMatch)), args);
}

Result<RequestId> SessionImpl::submit_release(uint64_t lease) {
  QUIRE_TRY(check());
  HeldLease* held = leases_.find(lease);
  if (held == nullptr) return make_error(Errc::kNotFound, "release: no such lease, or released");
  if (held->loading > 0) return make_error(Errc::kBusy, "release: a load of it is in flight");
  Submission::Args args{};
  args.release.lease = lease;
  Result<RequestId> id = submit(*QUIRE_TRY(add_request(Verb::kRelease)), args);
  if (id.ok()) {
    // At the submission, not at the answer: the daemon may reuse the pages from now on, so no view
    // outlives it.
    drop_untaken(*held);
    drop_lease(*held);
  }
  return id;
}

Result<void> SessionImpl::check_fill(FillKind kind, uint32_t end_tokens, uint64_t groups) const {
  const uint32_t step = kind == FillKind::kSpan ? layout_.block_tokens : layout_.unit_tokens;
  if (end_tokens == 0 || end_tokens % step != 0) {
    return invalid("begin_fill: end_tokens must be a multiple of " + std::to_string(step));
  }
  if (end_tokens / layout_.unit_tokens > tokens_.chain().size()) {
    return invalid("begin_fill: append the tokens up to end_tokens first");
  }
  // The daemon refuses it too, without a text.
  const Progress now = progress();
  const bool ahead =
      now.ahead_tokens > 0 && end_tokens > uint64_t{now.taken_tokens} + now.ahead_tokens;
  if (ahead && role_ == model::SessionRole::kPrefill && kind == FillKind::kSpan) {
    return make_error(Errc::kBusy, "begin_fill: decode has taken " +
                                       std::to_string(now.taken_tokens) + " tokens, and " +
                                       std::to_string(now.ahead_tokens) +
                                       " may be ahead of it (ahead_tokens): wait_for_room");
  }
  const size_t count = layout_.groups.size();
  if (count < 64 && (groups >> count) != 0) return invalid("begin_fill: groups beyond the layout");
  return {};
}

Result<RequestId> SessionImpl::submit_begin_fill(FillKind kind, uint32_t end_tokens,
                                                 const FillOptions& options) {
  QUIRE_TRY(check());
  QUIRE_TRY(check_fill(kind, end_tokens, options.groups));
  // The daemon plans the same pages in the same order: page i lies at plan.pages[i].staging_offset.
  const uint64_t bytes = plans_.plan(kind, end_tokens, options.groups).staging_bytes;
  if (bytes == 0) return invalid("begin_fill: the object has no pages in these groups");
  if (bytes > staging_->bytes()) {
    return invalid("begin_fill: " + std::to_string(bytes) + " bytes exceed the session's " +
                   std::to_string(staging_->bytes()) +
                   " of staging: open it with more staging_bytes (0: what the layout needs)");
  }
  // The place is chosen here and the daemon checks bounds only: "busy" takes no round trip.
  const std::optional<uint64_t> offset = staging_->allocate(bytes);
  if (!offset) return make_error(Errc::kBusy, "begin_fill: staging is full of uncommitted fills");
  AreaRun run{*offset, bytes};
  Result<Request*> request = add_request(Verb::kBeginFill);
  if (!request.ok()) {
    free_staging(run);
    return std::move(request).error();
  }
  (*request)->kind = kind;
  (*request)->end_tokens = end_tokens;
  (*request)->groups = options.groups;
  (*request)->run = run;
  Submission::Args args{};
  args.begin_fill.groups = options.groups;
  args.begin_fill.end_units = end_tokens / layout_.unit_tokens;
  args.begin_fill.kind = static_cast<uint8_t>(kind);
  args.begin_fill.reason = static_cast<uint8_t>(options.reason);
  args.begin_fill.unless_begun = options.unless_begun ? 1 : 0;
  Result<RequestId> id = submit(**request, args);
  if (!id.ok()) free_staging(run);
  return id;
}

Result<OpenFill*> SessionImpl::find_ending_fill(const Fill& fill) {
  QUIRE_TRY(check());
  OpenFill* open = fills_.find(fill.id, fill.staging_offset);
  if (open == nullptr) return make_error(Errc::kNotFound, "no such fill, or it was ended before");
  if (open->ending) return make_error(Errc::kBusy, "the fill's commit or abort is in flight");
  return open;
}

Result<RequestId> SessionImpl::submit_commit(const Fill& fill) {
  OpenFill* open = QUIRE_TRY(find_ending_fill(fill));
  Request* request = QUIRE_TRY(add_request(Verb::kCommit));
  request->object = open->fill;
  request->staging_offset = open->run.offset;
  Submission::Args args{};
  args.commit.fill = open->fill;
  args.commit.staging_offset = open->run.offset;
  args.commit.groups = open->groups;
  Result<RequestId> id = submit(*request, args);
  // The bytes may be read until the completion: neither a second commit nor an abort may come in
  // between.
  open->ending = id.ok();
  return id;
}

Result<RequestId> SessionImpl::submit_abort(const Fill& fill) {
  OpenFill* open = QUIRE_TRY(find_ending_fill(fill));
  Request* request = QUIRE_TRY(add_request(Verb::kAbortFill));
  request->object = open->fill;
  request->staging_offset = open->run.offset;
  Submission::Args args{};
  args.abort_fill.fill = open->fill;
  Result<RequestId> id = submit(*request, args);
  open->ending = id.ok();
  return id;
}

Result<RequestId> SessionImpl::submit_supersede(uint32_t end_tokens) {
  Submission::Args args{};
  args.supersede.end_units = end_tokens / layout_.unit_tokens;
  return submit(*QUIRE_TRY(add_request(Verb::kSupersede)), args);
}

Result<RequestId> SessionImpl::submit_advise(model::Advice advice, uint32_t end_tokens,
                                             uint32_t pause_ms) {
  Submission::Args args{};
  args.advise.end_units = end_tokens / layout_.unit_tokens;
  args.advise.pause_ms = pause_ms;
  args.advise.advice = static_cast<uint8_t>(advice);
  return submit(*QUIRE_TRY(add_request(Verb::kAdvise)), args);
}

Result<RequestId> SessionImpl::submit_reset(uint64_t conversation) {
  QUIRE_TRY(check_settled());
  if (leases_.count() > 0) {
    return make_error(Errc::kBusy, "reset: the session holds leases of its prompt; release them");
  }
  if (!fills_.all().empty()) {
    return make_error(Errc::kBusy, "reset: fills are open; commit or abort them");
  }
  const auto is_used = [](const Request& request) {
    return request.state != RequestState::kFree && request.state != RequestState::kSettled;
  };
  if (std::any_of(requests_.slots().begin(), requests_.slots().end(), is_used)) {
    return make_error(Errc::kBusy,
                      "reset: requests are in flight, or their outcomes were not taken; poll and "
                      "take them");
  }
  if (progress().members > 1) {
    return make_error(Errc::kBusy,
                      "reset: other processes are in the session; they close it first");
  }
  Submission::Args args{};
  args.reset.conversation = conversation;
  Result<RequestId> id = submit(*QUIRE_TRY(add_request(Verb::kReset)), args);
  resetting_ = id.ok();
  return id;
}

Result<Fill> SessionImpl::take_fill(RequestId id, const Completion& completion) {
  if (attachment_->forked() || !channel_) return check().error();
  if (completion.code != static_cast<int32_t>(Errc::kOk)) return completion_error(completion);
  Request* request = requests_.find(id);
  const bool waiting =
      request != nullptr && request->verb == Verb::kBeginFill &&
      (request->state == RequestState::kHeld || request->state == RequestState::kSettled);
  if (!waiting) return make_error(Errc::kNotFound, "no fill waits under this request");
  const model::BeginFillResult& result = request->completion.result.begin_fill;
  Fill fill;
  fill.id = result.fill;
  fill.duplicate = result.duplicate != 0;
  fill.incomplete = result.incomplete != 0;
  fill.unwanted = result.unwanted != 0;
  fill.kind = request->kind;
  fill.end_tokens = request->end_tokens;
  fill.groups = request->groups;
  if (!fill.duplicate) {
    fill.staging_offset = request->run.offset;
    fill.staging = staging_->data() + request->run.offset;
    fill.plan = plans_.plan(request->kind, request->end_tokens, request->groups);
  }
  requests_.remove(*request);
  return fill;
}

}  // namespace quire::client
