#include "client/session_opener.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "client/deadline.h"

namespace quire::client {

using model::Errc;
using model::FrameType;
using model::make_error;
using model::Result;

namespace {

constexpr std::chrono::milliseconds kFirstAskNap{1};
constexpr std::chrono::milliseconds kLongestAskNap{16};

}  // namespace

Result<std::unique_ptr<SessionImpl>> start_session(const SessionOpener::Target& target, Frame frame,
                                                   std::optional<SessionChannel> kept) {
  OpenedSession opened;
  opened.attachment = target.attachment;
  opened.staging = target.staging;
  opened.reply = QUIRE_TRY(model::read_struct<model::OpenSessionReply>(frame.payload));
  opened.descriptors = std::move(frame.descriptors);
  opened.kept = std::move(kept);
  // Noted before `opened` is moved from: a session that cannot be mapped is closed in the daemon.
  const model::CloseSessionRequest undo{opened.reply.session};
  Result<std::unique_ptr<SessionImpl>> session =
      opened.reply.layout == target.layout
          ? SessionImpl::create(std::move(opened), target.client, target.session)
          : make_error(Errc::kInvalidArgument, "the session has another layout");
  if (!session.ok()) {
    [[maybe_unused]] const Result<Frame> closed =
        target.attachment->call(FrameType::kCloseSession, model::struct_bytes(undo));
  }
  return session;
}

void give_lane_back(Attachment& attachment, std::optional<SessionChannel> lane, Errc refused_with) {
  // The daemon may give it to the session that it opens too late.
  if (!lane || refused_with == Errc::kDeadlineExceeded || !attachment.alive()) return;
  attachment.memory().lock()->keep_lane(std::move(*lane));
}

Result<std::unique_ptr<SessionImpl>> SessionOpener::ask_once() {
  if (over_) return make_error(Errc::kClosed, "this session was opened, or refused, before");
  auto kept = target_.attachment->memory().lock()->take_lane(
      {request_.ring_entries, request_.max_units, request_.max_load_pages});
  request_.lane = kept ? kept->lane() : 0;
  Result<Frame> frame =
      target_.attachment->call(FrameType::kOpenSession, model::struct_bytes(request_));
  if (!frame.ok()) {
    give_lane_back(*target_.attachment, std::move(kept), frame.code());
    // The daemon may not have heard of it in time, or answer later: it leaves the queue.
    give_up();
    over_ = true;
    return std::move(frame).error();
  }
  const auto reply = QUIRE_TRY(model::read_struct<model::OpenSessionReply>(frame->payload));
  reply_ = {};
  if (reply.session == 0 && reply.ticket != 0) {
    reply_ = reply;
    request_.ticket = reply.ticket;
    if (kept) target_.attachment->memory().lock()->keep_lane(std::move(*kept));
    return std::unique_ptr<SessionImpl>();
  }
  over_ = true;
  request_.ticket = 0;  // it was used
  return start_session(target_, std::move(*frame), std::move(kept));
}

// Other threads of the client use the connection between two asks.
Result<std::unique_ptr<SessionImpl>> SessionOpener::ask(uint64_t wait_ms) {
  const Deadline deadline = Deadline::after_ms(wait_ms);
  for (auto nap = kFirstAskNap;; nap = std::min(2 * nap, kLongestAskNap)) {
    auto session = QUIRE_TRY(ask_once());
    if (session || deadline.passed()) return session;
    std::this_thread::sleep_for(nap);
  }
}

Result<std::unique_ptr<SessionImpl>> SessionOpener::wait() {
  // The daemon ends it when its time is over; this is for one that does not.
  auto session =
      QUIRE_TRY(ask(uint64_t{request_.admission_wait_ms} + target_.client.connect_timeout_ms));
  if (session) return session;
  give_up();
  over_ = true;
  return make_error(Errc::kDeadlineExceeded, "the daemon did not admit the session in time");
}

std::optional<uint64_t> SessionOpener::estimate_ms() const {
  if (reply_.estimate_known == 0) return std::nullopt;
  return reply_.estimate_ms;
}

// An attachment that is gone has no queue; what a call says of it does not matter here.
void SessionOpener::give_up() {
  if (request_.ticket == 0 || !target_.attachment->check().ok()) return;
  model::OpenSessionRequest request = request_;
  request.give_up = 1;
  [[maybe_unused]] const Result<Frame> given =
      target_.attachment->call(FrameType::kOpenSession, model::struct_bytes(request));
  request_.ticket = 0;
  reply_ = {};
}

}  // namespace quire::client
