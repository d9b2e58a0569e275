#include "client/frame_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace quire::client {

namespace {

using model::Errc;
using model::FdGuard;
using model::Result;

// Moves the descriptors of one message into guards, so that none can leak from here on.
void collect_descriptors(msghdr& message, std::vector<FdGuard>& out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      out.emplace_back(fd);
    }
  }
}

model::Error hang_up() { return model::make_error(Errc::kUnavailable, "the daemon hung up"); }

// Errors that mean "the peer is gone" rather than "this system call went wrong".
model::Error socket_error(std::string_view what) {
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return hang_up();
  return model::errno_error(what);
}

model::Error connect_error(const std::string& path) {
  const int code = errno;
  model::Error error = model::errno_error("connect to " + path);
  if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR) error.code = Errc::kUnavailable;
  if (code == EACCES || code == EPERM) error.code = Errc::kPermissionDenied;
  // The backlog stayed full until the deadline.
  if (code == EAGAIN) error.code = Errc::kDeadlineExceeded;
  return error;
}

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return model::make_error(Errc::kInvalidArgument,
                             "socket path must have 1..107 bytes: '" + path + "'");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

Result<FrameSocket> FrameSocket::connect(const std::string& path, Deadline deadline) {
  const sockaddr_un address = QUIRE_TRY(socket_address(path));
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return model::errno_error("socket");
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // EAGAIN: the listener's backlog is full. Unix sockets offer nothing to wait on for that.
    const bool may_retry = (errno == EINTR || errno == EAGAIN) && !deadline.passed();
    if (!may_retry) return connect_error(path);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return FrameSocket(std::move(fd));
}

FrameSocket::FrameSocket(FdGuard fd) : fd_(std::move(fd)) {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  QUIRE_CHECK(flags >= 0 && ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK) == 0);
}

// Not closed: the descriptor's number may be in a caller's epoll, and must not become another
// file's.
void FrameSocket::shut_down() { ::shutdown(fd_.get(), SHUT_RDWR); }

Result<void> FrameSocket::wait_for(short events, Deadline deadline) {
  pollfd entry{fd_.get(), events, 0};
  const timespec timeout = deadline.left_timespec();
  const int ready = ::ppoll(&entry, 1, &timeout, nullptr);
  if (ready < 0 && errno != EINTR) return model::errno_error("poll");
  return {};
}

Result<void> FrameSocket::send(model::FrameType type, uint32_t sequence, std::string_view payload,
                               Deadline deadline) {
  if (payload.size() > model::kMaxFrameBytes) {
    return model::make_error(Errc::kFrameTooLarge, "payload above 1 MiB");
  }
  model::FrameHeader header;
  header.type = static_cast<uint16_t>(type);
  header.payload_bytes = static_cast<uint32_t>(payload.size());
  header.sequence = sequence;
  // One buffer, one system call for a frame as a rule.
  std::string bytes(model::struct_bytes(header));
  bytes.append(payload);
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t sent =
        ::send(fd_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      done += static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      if (deadline.passed()) {
        return model::make_error(Errc::kDeadlineExceeded, "the daemon does not read its socket");
      }
      QUIRE_TRY(wait_for(POLLOUT, deadline));
    } else if (errno != EINTR) {
      return socket_error("send");
    }
  }
  return {};
}

Result<std::optional<Frame>> FrameSocket::receive(Deadline deadline) {
  while (true) {
    // Before the deadline is looked at: what is there is returned however late it is.
    std::optional<Frame> frame = QUIRE_TRY(receive_ready());
    if (frame || deadline.passed()) return frame;
    QUIRE_TRY(wait_for(POLLIN, deadline));
  }
}

Result<std::optional<Frame>> FrameSocket::receive_ready() {
  char* header = reinterpret_cast<char*>(&partial_.header);
  // Reads end at the frame's border: descriptors come with the bytes of their own frame.
  while (header_done_ < sizeof(model::FrameHeader)) {
    const size_t left = sizeof(model::FrameHeader) - header_done_;
    const Read read = QUIRE_TRY(read_some(header + header_done_, left, header_done_));
    if (read == Read::kNothingYet) return std::optional<Frame>();
    if (header_done_ == sizeof(model::FrameHeader)) QUIRE_TRY(accept_header());
  }
  while (payload_done_ < partial_.payload.size()) {
    const size_t left = partial_.payload.size() - payload_done_;
    const Read read =
        QUIRE_TRY(read_some(partial_.payload.data() + payload_done_, left, payload_done_));
    if (read == Read::kNothingYet) return std::optional<Frame>();
  }
  // The next frame starts from nothing; descriptors went with this one.
  header_done_ = 0;
  payload_done_ = 0;
  return std::optional<Frame>(std::exchange(partial_, Frame{}));
}

Result<void> FrameSocket::accept_header() {
  const model::FrameHeader& header = partial_.header;
  if (header.magic != model::kFrameMagic) {
    return model::make_error(Errc::kMalformedFrame, "the peer does not speak Quire's protocol");
  }
  if (header.version != model::kProtocolVersion) {
    return model::make_error(
        Errc::kUnsupportedVersion,
        "the daemon speaks protocol version " + std::to_string(header.version) + ", this library " +
            std::to_string(model::kProtocolVersion) + ": run quired and libquire of one release");
  }
  if (header.payload_bytes > model::kMaxFrameBytes) {
    return model::make_error(Errc::kFrameTooLarge, "the daemon announced a frame above 1 MiB");
  }
  // Bounded above: a peer's number must not decide what is allocated.
  partial_.payload.resize(header.payload_bytes);
  return {};
}

Result<FrameSocket::Read> FrameSocket::read_some(char* target, size_t bytes, size_t& done) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * model::kMaxDescriptorsPerFrame)];
  iovec piece{target, bytes};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return Read::kNothingYet;
  if (got < 0) return socket_error("recvmsg");
  // Also before a hang-up or an error is returned, so that none leaks.
  collect_descriptors(message, partial_.descriptors);
  if (got == 0) return hang_up();
  if (partial_.descriptors.size() > model::kMaxDescriptorsPerFrame) {
    return model::make_error(Errc::kUnexpectedDescriptors, "more than 16 descriptors in a frame");
  }
  // Told with the frame, not as an error: the stream goes on, and its caller knows what was lost.
  partial_.descriptors_lost |= (message.msg_flags & MSG_CTRUNC) != 0;
  done += static_cast<size_t>(got);
  return Read::kProgress;
}

}  // namespace quire::client
