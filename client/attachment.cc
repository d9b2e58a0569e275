#include "client/attachment.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace quire::client {

namespace {

using model::Errc;
using model::FrameType;
using model::make_error;
using model::Result;

constexpr int kMaxFramesPerProgress = 256;  // the rest at the next call

bool is_reply(const Frame& frame) { return (frame.header.type & model::kReplyBit) != 0; }

FrameType type_of(const Frame& frame) {
  return static_cast<FrameType>(frame.header.type & ~model::kReplyBit);
}

// A failure that answers no request (model/wire.h): the connection ends with it.
std::optional<model::Error> last_word(const Frame& frame) {
  if (!is_reply(frame) || frame.header.sequence != 0) return std::nullopt;
  const auto status = model::read_struct<model::ReplyStatus>(frame.payload);
  if (!status.ok()) return std::nullopt;
  const Result<void> checked = model::check_status(*status);
  return checked.ok() ? std::nullopt : std::optional(checked.error());
}

// 0 is the sequence of what answers no request.
uint32_t next_sequence(uint32_t sequence) { return sequence + 1 == 0 ? 1 : sequence + 1; }

}  // namespace

Result<std::shared_ptr<Attachment>> Attachment::attach(const AttachOptions& options) {
  const Deadline deadline = Deadline::after_ms(options.verb_timeout_ms);
  // Before the socket: from its first byte on a fork can be told.
  ForkGuard fork_guard = QUIRE_TRY(ForkGuard::create());
  FrameSocket socket = QUIRE_TRY(FrameSocket::connect(options.socket_path, deadline));
  auto attachment = std::make_shared<Attachment>(std::move(fork_guard), std::move(socket), options);
  QUIRE_TRY(attachment->hello());
  return attachment;
}

Attachment::Attachment(ForkGuard fork_guard, FrameSocket socket, AttachOptions options)
    : fork_guard_(std::move(fork_guard)),
      options_(std::move(options)),
      socket_fd_(socket.fd()),
      segments_(options_.observer),
      wire_(Wire{std::move(socket), 0, {}}) {}

// A forked child has none of the mappings, and registered nothing.
Attachment::~Attachment() {
  if (forked()) segments_.forget_observer();
}

Result<void> Attachment::hello() {
  model::HelloRequest request;
  request.client_name = QUIRE_TRY(model::to_wire_name(options_.client_name));
  const Frame reply = QUIRE_TRY(call(FrameType::kHello, model::struct_bytes(request)));
  return adopt_hello(reply);
}

Result<void> Attachment::adopt_hello(const Frame& reply) {
  const auto hello = QUIRE_TRY(model::read_struct<model::HelloReply>(reply.payload));
  if (hello.version != model::kProtocolVersion) {
    return make_error(Errc::kUnsupportedVersion,
                      "the daemon chose protocol version " + std::to_string(hello.version) +
                          ", this library speaks " + std::to_string(model::kProtocolVersion) +
                          ": run quired and libquire of one release");
  }
  // Before the first segment: ids count within an epoch, and the observer is told both.
  epoch_ = hello.daemon_epoch;
  segments_.set_epoch(epoch_);
  domain_ = QUIRE_TRY(model::from_wire_name(hello.domain));
  // Segments without a descriptor here are mapped on first sight.
  std::string_view rest = std::string_view(reply.payload).substr(sizeof hello);
  const size_t count = std::min<size_t>(hello.segment_count, reply.descriptors.size());
  for (size_t i = 0; i < count; ++i) {
    const auto info = QUIRE_TRY(model::read_struct<model::SegmentInfo>(rest));
    rest.remove_prefix(sizeof info);
    QUIRE_TRY(adopt_segment(info, reply.descriptors[i]));
  }
  return {};
}

Result<void> Attachment::adopt_segment(const model::SegmentInfo& info, const model::FdGuard& fd) {
  return segments_.insert(
      info.segment, QUIRE_TRY(SegmentMap::map_sealed(fd.get(), info, options_.populate_segments)));
}

Result<void> Attachment::check() const {
  if (forked()) return make_error(Errc::kForked, "connect anew in a forked child");
  if (superseded_.load(std::memory_order_acquire)) {
    return make_error(Errc::kStaleHandle, "a session of an earlier daemon epoch: open a new one");
  }
  if (!alive()) return make_error(Errc::kUnavailable, "the daemon is gone: reconnect");
  return {};
}

model::Error Attachment::fail(Wire& wire, model::Error error) {
  // Before the shutdown: who wakes by the hang-up finds the connection dead.
  dead_.store(true, std::memory_order_release);
  wire.socket.shut_down();
  return error;
}

Result<Frame> Attachment::call(FrameType type, std::string_view payload) {
  QUIRE_TRY(check());
  auto wire = wire_.lock();
  return call_locked(*wire, type, payload);
}

Result<Frame> Attachment::call_locked(Wire& wire, FrameType type, std::string_view payload) {
  const Deadline deadline = Deadline::after_ms(options_.verb_timeout_ms);
  // A copy: answering news on the way uses sequences up.
  const uint32_t sequence = wire.sequence = next_sequence(wire.sequence);
  Result<void> sent = wire.socket.send(type, sequence, payload, deadline);
  // Nothing was sent, so the stream is whole.
  if (sent.code() == Errc::kFrameTooLarge) return std::move(sent).error();
  // A daemon that hung up already may have said why: read on.
  while (true) {
    Result<std::optional<Frame>> received = receive(wire, sent.ok() ? deadline : Deadline::now());
    if (!received.ok()) return fail(wire, std::move(received).error());
    if (!sent.ok() && !received->has_value()) return fail(wire, std::move(sent).error());
    if (!received->has_value()) {
      // The stream is whole: the reply, when it comes, is known by its sequence and dropped.
      return make_error(Errc::kDeadlineExceeded, "the daemon did not answer in time");
    }
    Frame frame = std::move(**received);
    if (is_reply(frame) && frame.header.sequence == sequence) {
      acknowledge_unmapped(wire);
      return accept_reply(wire, type, std::move(frame));
    }
    // Told before the hang-up that follows: the reason is worth more than "hung up".
    if (const auto why = last_word(frame)) return fail(wire, *why);
    dispatch(wire, frame);
  }
}

Result<std::optional<Frame>> Attachment::receive(Wire& wire, Deadline deadline) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(options_.spin_us);
  do {
    Result<std::optional<Frame>> received = wire.socket.receive(Deadline::now());
    if (!received.ok() || received->has_value() || deadline.passed()) return received;
  } while (std::chrono::steady_clock::now() < end);
  return wire.socket.receive(deadline);
}

Result<Frame> Attachment::accept_reply(Wire& wire, FrameType type, Frame frame) {
  const Result<model::ReplyStatus> status = model::read_struct<model::ReplyStatus>(frame.payload);
  if (!status.ok() || type_of(frame) != type) {
    return fail(wire, make_error(Errc::kMalformedFrame, "a reply that does not fit its request"));
  }
  // A status that is not kOk ends the call, not the connection.
  QUIRE_TRY(model::check_status(*status));
  if (frame.descriptors_lost) {
    // A session whose descriptors are lost cannot be used: it is closed, as one that came too late.
    drop_late_reply(wire, frame);
    return make_error(Errc::kResourceExhausted,
                      "descriptors were lost: raise this process's limit of open files");
  }
  return frame;
}

void Attachment::dispatch(Wire& wire, const Frame& frame) {
  if (is_reply(frame)) return drop_late_reply(wire, frame);
  if (type_of(frame) == FrameType::kSegmentRetired) {
    const auto event = model::read_struct<model::SegmentRetiredEvent>(frame.payload);
    // A segment in use stays mapped until its last user; the daemon waits for the acknowledgement.
    if (event.ok()) segments_.retire(event->segment);
  } else if (type_of(frame) == FrameType::kSessionEnded) {
    end_session(wire, frame);
  }
  // Other events are a newer daemon's: nothing to do for them.
}

void Attachment::end_session(Wire& wire, const Frame& frame) {
  const auto event = model::read_struct<model::SessionEndedEvent>(frame.payload);
  if (!event.ok()) return;
  for (WatchedSession& watched : wire.sessions) {
    if (watched.session != event->session) continue;
    const Result<void> status = model::check_status(event->status);
    watched.end = status.ok() ? make_error(Errc::kClosed, "the session ended") : status.error();
  }
}

void Attachment::drop_late_reply(Wire& wire, const Frame& frame) {
  // Only these leave something behind in the daemon.
  if (type_of(frame) != FrameType::kOpenSession && type_of(frame) != FrameType::kJoinSession)
    return;
  const auto reply = model::read_struct<model::OpenSessionReply>(frame.payload);
  if (!reply.ok() || !model::check_status(reply->status).ok()) return;
  if (reply->session == 0) return;  // it is queued, and leaves the queue when its time is over
  const model::CloseSessionRequest request{reply->session};
  wire.sequence = next_sequence(wire.sequence);
  const Result<void> sent =
      wire.socket.send(FrameType::kCloseSession, wire.sequence, model::struct_bytes(request),
                       Deadline::after_ms(options_.verb_timeout_ms));
  if (!sent.ok()) fail(wire, sent.error());
}

void Attachment::acknowledge_unmapped(Wire& wire) {
  for (const uint32_t segment : segments_.take_unmapped()) {
    const model::MapSegmentRequest request{segment, 0};
    wire.sequence = next_sequence(wire.sequence);
    const Result<void> sent =
        wire.socket.send(FrameType::kUnmappedSegment, wire.sequence, model::struct_bytes(request),
                         Deadline::after_ms(options_.verb_timeout_ms));
    if (!sent.ok()) fail(wire, sent.error());
  }
}

Result<void> Attachment::progress() {
  QUIRE_TRY(check());
  // A thread in a call holds the lock for as long as the daemon takes, and handles the news itself.
  auto wire = wire_.try_lock();
  if (!wire) return {};
  for (int i = 0; i < kMaxFramesPerProgress; ++i) {
    Result<std::optional<Frame>> frame = (*wire)->socket.receive(Deadline::now());
    if (!frame.ok()) {
      // Whatever broke the stream, to a caller the daemon is gone.
      const model::Error error = fail(**wire, std::move(frame).error());
      return make_error(Errc::kUnavailable, error.text);
    }
    if (!frame->has_value()) break;
    dispatch(**wire, **frame);
  }
  acknowledge_unmapped(**wire);
  return {};
}

Result<SegmentView> Attachment::acquire_segment(uint32_t segment) {
  if (const auto view = segments_.acquire(segment)) return *view;
  QUIRE_TRY(check());
  auto wire = wire_.lock();
  // Mapped under the lock: a retirement that follows the reply must find the mapping.
  if (const auto view = segments_.acquire(segment)) return *view;
  const model::MapSegmentRequest request{segment, 0};
  const Frame reply =
      QUIRE_TRY(call_locked(*wire, FrameType::kMapSegment, model::struct_bytes(request)));
  const auto map = QUIRE_TRY(model::read_struct<model::MapSegmentReply>(reply.payload));
  if (map.info.segment != segment || reply.descriptors.empty()) {
    return make_error(Errc::kMalformedFrame, "a segment reply without its segment");
  }
  QUIRE_TRY(adopt_segment(map.info, reply.descriptors.front()));
  return *segments_.acquire(segment);
}

void Attachment::release_segments(std::span<const uint32_t> segments) {
  segments_.release(segments);
  // A dead daemon needs no acknowledgement. Where the lock is taken, a call or progress() sends it
  // sooner or later.
  if (!segments_.has_unmapped() || !check().ok()) return;
  if (auto wire = wire_.try_lock()) acknowledge_unmapped(**wire);
}

Result<StagingArea*> Attachment::staging(uint64_t needed, uint64_t wanted) {
  if (StagingArea* area = memory_.lock()->find_staging(needed)) return area;
  const model::MakeStagingRequest request{std::max(needed, wanted)};
  const Frame frame = QUIRE_TRY(call(FrameType::kMakeStaging, model::struct_bytes(request)));
  const auto reply = QUIRE_TRY(model::read_struct<model::MakeStagingReply>(frame.payload));
  if (reply.staging == 0 || frame.descriptors.empty()) {
    return make_error(Errc::kMalformedFrame, "a staging reply without its memory");
  }
  auto area =
      QUIRE_TRY(StagingArea::adopt(reply.staging, request.bytes, frame.descriptors.front()));
  return memory_.lock()->add_staging(std::move(area));
}

void Attachment::watch_session(uint64_t session) {
  wire_.lock()->sessions.push_back({session, model::Error{Errc::kOk, {}}});
}

void Attachment::forget_session(uint64_t session) {
  if (forked()) return;
  std::erase_if(wire_.lock()->sessions,
                [session](const WatchedSession& watched) { return watched.session == session; });
}

model::Error Attachment::session_end(uint64_t session) {
  auto wire = wire_.lock();
  for (const WatchedSession& watched : wire->sessions) {
    if (watched.session == session && watched.end.code != Errc::kOk) return watched.end;
  }
  return make_error(Errc::kClosed, "the daemon ended the session");
}

}  // namespace quire::client
