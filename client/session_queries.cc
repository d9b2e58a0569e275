// Verbs of a session that hold nothing in the daemon: resumed, positions, locate.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "client/session_impl.h"

namespace quire::client {

using model::Completion;
using model::Errc;
using model::make_error;
using model::Result;
using model::Submission;
using model::Verb;

Result<RequestId> SessionImpl::submit_resumed(const Resumed& word) {
  Submission::Args args{};
  args.resumed.request_id = word.request_id;
  args.resumed.resumed_tokens = word.resumed_tokens;
  args.resumed.replayed_tokens = word.replayed_tokens;
  args.resumed.output_tokens = word.output_tokens;
  args.resumed.how = static_cast<uint8_t>(word.how);
  return submit(*QUIRE_TRY(add_request(Verb::kResumed)), args);
}

// Entries come in the descriptor area, which each request has a part of to itself until they are
// taken.
Result<RequestId> SessionImpl::submit_positions(uint32_t prompt_tokens,
                                                const PositionsOptions& options) {
  QUIRE_TRY(check());
  if (prompt_tokens == 0 || options.have_tokens > prompt_tokens) {
    return make_error(Errc::kInvalidArgument,
                      "positions: prompt_tokens is 0, or have_tokens above it");
  }
  QUIRE_TRY(check_hashed("positions", prompt_tokens));
  const uint64_t most = std::min<uint64_t>(model::kMaxPositions, descriptors_.capacity());
  if (options.max_positions == 0 || options.max_positions > most) {
    return make_error(Errc::kInvalidArgument, "positions: max_positions must be in 1.." +
                                                  std::to_string(most) +
                                                  " (max_load_pages bounds it too)");
  }
  const std::optional<uint64_t> first = descriptors_.allocate(options.max_positions);
  if (!first) return make_error(Errc::kBusy, "positions: the descriptor area is full: take pages");
  AreaRun run{*first, options.max_positions};
  Result<Request*> request = add_request(Verb::kPositions);
  if (!request.ok()) {
    free_descriptors(run);
    return std::move(request).error();
  }
  (*request)->run = run;
  Submission::Args args{};
  args.positions.unit_count = prompt_tokens / layout_.unit_tokens;
  args.positions.prompt_tokens = prompt_tokens;
  args.positions.have_tokens = options.have_tokens;
  args.positions.descriptor_index = static_cast<uint32_t>(run.offset);
  args.positions.max_positions = options.max_positions;
  args.positions.every_block = options.every_block ? 1 : 0;
  Result<RequestId> id = submit(**request, args);
  if (!id.ok()) free_descriptors(run);
  return id;
}

Result<Positions> SessionImpl::take_positions(RequestId id, const Completion& completion) {
  if (attachment_->forked() || !channel_) return check().error();
  if (completion.code != static_cast<int32_t>(Errc::kOk)) return completion_error(completion);
  Request* request = requests_.find(id);
  if (request == nullptr || request->verb != Verb::kPositions ||
      request->state != RequestState::kHeld) {
    return make_error(Errc::kNotFound, "no positions wait under this request");
  }
  const model::PositionsResult& result = request->completion.result.positions;
  const uint64_t count = std::min<uint64_t>(result.count, request->run.length);
  Positions found;
  found.positions.resize(count);
  const auto entries = channel_->descriptors().subspan(request->run.offset, count);
  if (count > 0) std::memcpy(found.positions.data(), entries.data(), entries.size_bytes());
  found.span_tokens = result.span_tokens;
  found.exact_tokens = result.exact_tokens;
  found.complete = result.complete != 0;
  free_descriptors(request->run);
  requests_.remove(*request);
  return found;
}

Result<RequestId> SessionImpl::submit_locate(uint32_t tokens) {
  QUIRE_TRY(check_hashed("locate", tokens));
  Submission::Args args{};
  args.locate.unit_count = tokens / layout_.unit_tokens;
  return submit(*QUIRE_TRY(add_request(Verb::kLocate)), args);
}

}  // namespace quire::client
