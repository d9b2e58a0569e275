#include "server/connection.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

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

// Closes every descriptor that came with a message; true when there were any.
bool close_received(msghdr& message) {
  bool any = (message.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      ::close(fd);
    }
    any = any || count > 0;
  }
  return any;
}

model::Result<void> check_header(const FrameHeader& header) {
  if (header.magic != model::kFrameMagic) {
    return make_error(Errc::kMalformedFrame, "not a Quire frame: wrong magic");
  }
  if (header.version != model::kProtocolVersion) {
    return make_error(Errc::kUnsupportedVersion,
                      "this daemon speaks protocol version 1; use a client library that does");
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

void Connection::on_event(uint32_t epoll_events) {
  if (ended_) return;
  if ((epoll_events & EPOLLOUT) != 0) flush();
  if (!ended_ && (epoll_events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void Connection::receive() {
  while (!ended_) {
    const auto more = receive_some();
    if (!more.ok()) return end(more.error());
    if (auto taken = take_frames(); !taken.ok()) {
      send_error(FrameType{0}, 0, taken.error());
      return end(taken.error());
    }
    if (!*more) return;
  }
}

// True when more may be waiting in the socket.
model::Result<bool> Connection::receive_some() {
  const size_t before = inbox_.size();
  inbox_.resize(before + kReadStep);
  iovec part{inbox_.data() + before, kReadStep};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 253)> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  inbox_.resize(before + (got > 0 ? static_cast<size_t>(got) : 0));
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return false;
    if (errno == ECONNRESET) return make_error(Errc::kOk, "the client hung up");
    return errno_error("recvmsg");
  }
  if (close_received(message)) {
    const Error error =
        make_error(Errc::kUnexpectedDescriptors, "a client never sends descriptors");
    send_error(FrameType{0}, 0, error);
    return error;
  }
  if (got == 0) return make_error(Errc::kOk, "the client hung up");
  if (before == 0) waiting_since_ns_ = clock_->now_ns();
  return static_cast<size_t>(got) == kReadStep;
}

model::Result<void> Connection::take_frames() {
  size_t used = 0;
  while (!ended_ && inbox_.size() - used >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, inbox_.data() + used, sizeof(header));
    QUIRE_TRY(check_header(header));
    if (inbox_.size() - used - sizeof(header) < header.payload_bytes) break;
    const std::string_view payload(inbox_.data() + used + sizeof(header), header.payload_bytes);
    used += sizeof(header) + header.payload_bytes;
    QUIRE_TRY(owner_->on_frame(*this, header, payload));
    waiting_since_ns_ = clock_->now_ns();
  }
  inbox_.erase(0, used);
  return {};
}

void Connection::check_deadline(int64_t now_ns) {
  const bool waiting = !greeted || !inbox_.empty();
  if (!waiting || now_ns - waiting_since_ns_ < kFrameDeadlineNs) return;
  const Error error = make_error(Errc::kDeadlineExceeded, "no whole frame within 10 s");
  send_error(FrameType{0}, 0, error);
  end(error);
}

void Connection::send(FrameType type, bool reply, uint32_t sequence, std::string_view payload,
                      std::span<const int> descriptors) {
  if (ended_) return;
  QUIRE_CHECK(descriptors.size() <= model::kMaxDescriptorsPerFrame);
  FrameHeader header;
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
  loop_->change(fd_.get(), EPOLLIN | EPOLLRDHUP | (want_write ? EPOLLOUT : 0u));
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
  ::shutdown(fd_.get(), SHUT_RDWR);
  owner_->on_end(*this, reason);
}

}  // namespace quire::server
