#include "server/sessions/connection.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77  // Linux 6.5
#endif

namespace quire::server {

using model::Errc;
using model::errno_error;
using model::Error;
using model::FdGuard;
using model::FrameHeader;
using model::FrameType;
using model::make_error;

namespace {

constexpr size_t kReadStep = 64 << 10;
constexpr int kLooksAtRemains = 8;  // more than a socket's default buffer holds

model::Result<void> check_header(const FrameHeader& header) {
  if (header.magic != model::kFrameMagic) {
    return make_error(Errc::kMalformedFrame, "not a Quire frame: wrong magic");
  }
  if (header.version != model::kProtocolVersion) {
    return make_error(Errc::kUnsupportedVersion, model::version_refusal(header.version));
  }
  if (header.payload_bytes > model::kMaxFrameBytes) {
    return make_error(Errc::kFrameTooLarge, "a frame's payload is at most 1 MiB");
  }
  return {};
}

}  // namespace

void Connection::DeathWatch::on_event(uint32_t) {
  connection_->end(make_error(Errc::kOk, "the client process ended"));
}

model::Result<std::unique_ptr<Connection>> Connection::create(FdGuard fd, EventLoop* loop,
                                                              const model::Clock* clock,
                                                              ConnectionOwner* owner) {
  std::unique_ptr<Connection> connection(new Connection(std::move(fd), loop, clock, owner));
  connection->waiting_since_ns_ = clock->now_ns();
  // An urgent byte can carry descriptors too, and a plain read drops it with them: inline, it is
  // seen as any other.
  const int on = 1;
  if (::setsockopt(connection->fd_.get(), SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) != 0) {
    return errno_error("SO_OOBINLINE");
  }
  // Before anything is read: the peer is who it was when it connected, whatever it passes on later.
  QUIRE_TRY(connection->identify());
  QUIRE_TRY(loop->add(connection->fd_.get(), EPOLLIN | EPOLLRDHUP, connection.get()));
  if (connection->pidfd_.valid()) {
    QUIRE_TRY(loop->add(connection->pidfd_.get(), EPOLLIN, &connection->death_watch_));
  }
  return connection;
}

Connection::~Connection() {
  if (ended_) return;
  if (fd_.valid()) loop_->remove(fd_.get());
  if (pidfd_.valid()) loop_->remove(pidfd_.get());
}

model::Result<void> Connection::identify() {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return errno_error("SO_PEERCRED");
  }
  peer_ = {static_cast<uint32_t>(credentials.pid), credentials.uid, credentials.gid};
  int pidfd = -1;
  length = sizeof(pidfd);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0) {
    pidfd = static_cast<int>(::syscall(SYS_pidfd_open, credentials.pid, 0));
  }
  // Without one (a peer in another pid namespace) the socket's end is the only sign of death.
  pidfd_ = FdGuard(pidfd);
  return {};
}

std::vector<uint32_t> Connection::peer_groups() const {
  std::vector<uint32_t> groups;
  socklen_t bytes = 0;
  // The first call is refused, and says how much room it takes: what they are does not change.
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes) != 0 && errno == ERANGE) {
    groups.resize(bytes / sizeof(uint32_t));
    const int got = ::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
    groups.resize(got == 0 ? bytes / sizeof(uint32_t) : 0);
  }
  groups.push_back(peer_.gid);
  return groups;
}

void Connection::on_event(uint32_t epoll_events) {
  if (ended_) return;
  if ((epoll_events & EPOLLOUT) != 0) flush();
  if (ended_) return;
  // Both directions are shut: nothing could be answered, so nothing of it is done.
  if ((epoll_events & (EPOLLHUP | EPOLLERR)) != 0) {
    return end(make_error(Errc::kOk, "the client hung up"));
  }
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP)) == 0) return;
  if (!suspended_) return owner_->on_input(*this);
  // Level-triggered: the loop would report the input again each turn, for as long as it is
  // suspended.
  muted_ = true;
  watch();
}

// Also muted it is told of the end of both directions, and of its process.
void Connection::watch() {
  const uint32_t input = muted_ ? 0u : EPOLLIN | EPOLLRDHUP;
  loop_->change(fd_.get(), input | (want_write_ ? EPOLLOUT : 0u));
}

void Connection::resume() {
  suspended_ = false;
  if (ended_) return;
  if (std::exchange(muted_, false)) watch();
  owner_->on_input(*this);  // frames may have come meanwhile
}

bool Connection::may_take_turn(int64_t now_ns) {
  if (pace_is_over(now_ns)) {
    pace_start_ns_ = now_ns;
    turns_taken_ = 0;
  }
  return turns_taken_++ < kTurnsPerPace;
}

bool Connection::serve() {
  if (ended_ || suspended_) return false;
  const auto step = [this]() -> model::Result<void> {
    if (!has_frame()) QUIRE_TRY(receive());
    QUIRE_TRY(take_frame());
    return {};
  }();
  if (ended_) return false;
  if (step.ok()) return !suspended_ && has_frame();
  if (step.code() != Errc::kOk) send_error(FrameType{0}, 0, step.error());
  end(step.error());
  return false;
}

// Looks before it reads: a descriptor that is received, or discarded for want of room, is closed by
// the thread that reads, and that close may last for as long as a stranger wishes. A look without
// room for them tells that there are some (MSG_CTRUNC) and leaves them where they are.
model::Result<void> Connection::receive() {
  inbox_.erase(0, std::exchange(inbox_used_, 0));
  const size_t before = inbox_.size();
  inbox_.resize(before + kReadStep);
  iovec part{inbox_.data() + before, kReadStep};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_PEEK);
  // Control data that found no room is descriptors: nothing else was asked of this socket.
  const bool refused = got > 0 && (message.msg_flags & MSG_CTRUNC) != 0;
  // The same bytes once more, and no others: later ones were not looked at.
  if (got > 0 && !refused) {
    got = ::recv(fd_.get(), part.iov_base, static_cast<size_t>(got), MSG_DONTWAIT);
  }
  const int error = errno;
  inbox_.resize(before + (got > 0 && !refused ? static_cast<size_t>(got) : 0));
  if (refused) {
    return make_error(Errc::kUnexpectedDescriptors, "a client never sends descriptors");
  }
  if (got == 0) return make_error(Errc::kOk, "the client hung up");
  if (got < 0) {
    if (error == EAGAIN || error == EINTR) return {};
    if (error == ECONNRESET) return make_error(Errc::kOk, "the client hung up");
    errno = error;
    return errno_error("recvmsg");
  }
  if (before == 0) waiting_since_ns_ = clock_->now_ns();
  return {};
}

bool Connection::has_frame() const {
  if (inbox_left() < sizeof(FrameHeader)) return false;
  FrameHeader header;
  std::memcpy(&header, inbox_.data() + inbox_used_, sizeof(header));
  // A wrong header is an answer's worth too.
  return !check_header(header).ok() || inbox_left() - sizeof(header) >= header.payload_bytes;
}

model::Result<void> Connection::take_frame() {
  if (!has_frame()) return {};
  FrameHeader header;
  std::memcpy(&header, inbox_.data() + inbox_used_, sizeof(header));
  const auto checked = check_header(header);
  // Told in its own version, or it could not read why.
  if (checked.code() == Errc::kUnsupportedVersion) reply_version_ = header.version;
  QUIRE_TRY(checked);
  const std::string_view payload(inbox_.data() + inbox_used_ + sizeof(header),
                                 header.payload_bytes);
  inbox_used_ += sizeof(header) + header.payload_bytes;
  // Taken off the inbox before: the call may suspend or end the connection.
  QUIRE_TRY(owner_->on_frame(*this, header, payload));
  waiting_since_ns_ = clock_->now_ns();
  return {};
}

void Connection::check_deadline(int64_t now_ns) {
  // Whole frames wait for us, not for the peer.
  const bool waiting = (!greeted || inbox_left() > 0) && !suspended_ && !has_frame();
  if (!waiting || now_ns - waiting_since_ns_ < kFrameDeadlineNs) return;
  const Error error = make_error(Errc::kDeadlineExceeded, "no whole frame within 10 s");
  send_error(FrameType{0}, 0, error);
  end(error);
}

void Connection::send(FrameType type, bool reply, uint32_t sequence, std::string_view payload,
                      std::span<const int> descriptors) {
  if (ended_) return;
  if (reply) owner_->on_reply(*this);
  QUIRE_CHECK(descriptors.size() <= model::kMaxDescriptorsPerFrame);
  FrameHeader header;
  header.version = reply_version_;
  header.type =
      static_cast<uint16_t>(static_cast<uint16_t>(type) | (reply ? model::kReplyBit : uint16_t{0}));
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  header.sequence = sequence;
  Outgoing outgoing;
  outgoing.bytes.append(model::struct_bytes(header)).append(payload);
  outgoing.lent = descriptors;
  outbox_bytes_ += outgoing.bytes.size();
  outbox_.push_back(std::move(outgoing));
  flush();
  if (auto kept = keep_lent(); !kept.ok()) return end(kept.error());
  // After the flush: only what the socket does not take counts against the peer.
  if (outbox_bytes_ > kMaxOutboxBytes) {
    end(make_error(Errc::kBusy, "the client does not read its replies"));
  }
}

// The frame that was just queued waits: its descriptors must outlive the call.
model::Result<void> Connection::keep_lent() {
  if (outbox_.empty()) return {};
  Outgoing& newest = outbox_.back();
  for (const int fd : newest.lent) {
    newest.descriptors.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!newest.descriptors.back().valid()) return errno_error("F_DUPFD_CLOEXEC");
  }
  newest.lent = {};
  return {};
}

void Connection::send_error(FrameType type, uint32_t sequence, const Error& error) {
  const model::ReplyStatus status = model::make_status(error.code, error.text);
  send(type, true, sequence, model::struct_bytes(status));
}

void Connection::flush() {
  while (!outbox_.empty() && send_front()) {
  }
  if (ended_) return;
  const bool want_write = !outbox_.empty();
  if (want_write == want_write_) return;
  want_write_ = want_write;
  watch();
}

// True when the front frame went out whole.
bool Connection::send_front() {
  Outgoing& front = outbox_.front();
  iovec part{front.bytes.data() + front.sent, front.bytes.size() - front.sent};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * model::kMaxDescriptorsPerFrame)>
      control{};
  const size_t descriptor_count = front.lent.size() + front.descriptors.size();  // one is empty
  if (descriptor_count > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptor_count);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * descriptor_count);
    for (size_t i = 0; i < descriptor_count; ++i) {
      const int fd = front.lent.empty() ? front.descriptors[i].get() : front.lent[i];
      std::memcpy(CMSG_DATA(header) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  const ssize_t sent = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) {
    // A peer that is gone is noticed by the read side.
    if (errno != EAGAIN && errno != EINTR) {
      outbox_.clear();
      outbox_bytes_ = 0;
    }
    return false;
  }
  // Descriptors go with the first byte of their frame, once.
  front.lent = {};
  front.descriptors.clear();
  front.sent += static_cast<size_t>(sent);
  outbox_bytes_ -= static_cast<size_t>(sent);
  if (front.sent < front.bytes.size()) return false;
  outbox_.pop_front();
  return true;
}

void Connection::end(const Error& reason) {
  if (ended_) return;
  ended_ = true;
  loop_->remove(fd_.get());
  if (pidfd_.valid()) loop_->remove(pidfd_.get());
  // The peer sees the end at once, although the descriptor is closed later and elsewhere.
  ::shutdown(fd_.get(), SHUT_RDWR);
  owner_->on_end(*this, reason);
}

// The peer can add nothing after the shutdown. What is unread may hold descriptors, unless it was
// read to its end; never more than one look further than where it was looked at (see receive()).
Connection::ClosedSocket Connection::take_socket() {
  QUIRE_CHECK(ended_);
  std::array<char, kReadStep> unread;
  iovec part{unread.data(), unread.size()};
  for (int look = 0; look < kLooksAtRemains; ++look) {
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_PEEK);
    if (got <= 0) return {std::move(fd_), false};
    if ((message.msg_flags & MSG_CTRUNC) != 0) break;
    if (::recv(fd_.get(), unread.data(), static_cast<size_t>(got), MSG_DONTWAIT) != got) break;
  }
  return {std::move(fd_), true};
}

}  // namespace quire::server
