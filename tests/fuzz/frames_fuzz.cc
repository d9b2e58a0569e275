// Frames on the socket, to a real daemon in this process: whatever a client sends, the daemon
// answers or hangs up, serves the next one, and what the client held is gone.
//
// Input, again and again: [frame type][how][two bytes: payload length][payload]. The header is made
// right but for what `how` says, so that the verbs are reached.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "model/check.h"
#include "model/fd_guard.h"
#include "model/wire.h"
#include "server/daemon.h"

namespace {

using quire::model::FdGuard;
using quire::model::FrameHeader;
using quire::model::FrameType;

enum How : uint8_t {  // bits
  kBadMagic = 1,
  kBadVersion = 2,
  kLongerThanSaid = 4,
  kShorterThanSaid = 8,
  kWithoutHello = 16,
};

class FuzzedDaemon {
 public:
  FuzzedDaemon() {
    std::string pattern = "/tmp/quire-fuzz-XXXXXX";
    QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    quire::server::Options options;
    options.socket_path = directory_ + "/quired.sock";
    options.ram_bytes = 64ull << 20;
    options.session_memory_bytes = 256ull << 20;
    options.huge_pages = quire::allocator::HugePages::kOff;
    options.population = quire::allocator::Population::kLazy;
    options.max_nodes = 1 << 16;
    options.log_level = "error";
    auto created = quire::server::Daemon::create(options);
    QUIRE_CHECK(created.ok());
    daemon_ = std::move(created).value();
    socket_path_ = options.socket_path;
    thread_ = std::thread([this] { daemon_->run(); });
  }
  ~FuzzedDaemon() {
    daemon_->stop();
    thread_.join();
    std::filesystem::remove_all(directory_);
  }

  FdGuard connect() const {
    FdGuard socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path, socket_path_.c_str(), socket_path_.size() + 1);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    QUIRE_CHECK(::connect(socket.get(), generic, sizeof(address)) == 0);
    return socket;
  }

 private:
  std::string directory_;
  std::string socket_path_;
  std::unique_ptr<quire::server::Daemon> daemon_;
  std::thread thread_;
};

void append_frame(std::string& out, FrameType type, std::string_view payload, uint8_t how) {
  FrameHeader header{.type = static_cast<uint16_t>(type),
                     .payload_bytes = static_cast<uint32_t>(payload.size()),
                     .sequence = static_cast<uint32_t>(out.size()) + 1};
  if ((how & kBadMagic) != 0) ++header.magic;
  if ((how & kBadVersion) != 0) ++header.version;
  if ((how & kLongerThanSaid) != 0 && header.payload_bytes > 0) --header.payload_bytes;
  if ((how & kShorterThanSaid) != 0) ++header.payload_bytes;
  out.append(reinterpret_cast<const char*>(&header), sizeof(header));
  out.append(payload);
}

std::string frames_of(const uint8_t* data, size_t size) {
  std::string out;
  if (size < 2 || (data[1] & kWithoutHello) == 0) {
    const quire::model::HelloRequest hello;
    append_frame(out, FrameType::kHello, {reinterpret_cast<const char*>(&hello), sizeof(hello)}, 0);
  }
  while (size >= 4) {
    const size_t wanted = data[2] | size_t{data[3]} << 8;
    const size_t bytes = std::min(wanted, size - 4);
    append_frame(out, static_cast<FrameType>(data[0]),
                 {reinterpret_cast<const char*>(data + 4), bytes}, data[1]);
    data += 4 + bytes;
    size -= 4 + bytes;
  }
  return out;
}

// Takes what is sent, and lets the descriptors go.
bool receive_some(int socket, int flags) {
  std::array<char, 1 << 14> buffer;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(64 * sizeof(int))> control;
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
  if (got <= 0) return false;
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(one) + i * sizeof(int), sizeof(int));
      ::close(fd);
    }
  }
  return true;
}

// The daemon ends a connection that was shut down, after it answered what it had read.
void talk(int socket, const std::string& frames) {
  size_t sent = 0;
  while (sent < frames.size()) {
    const ssize_t count =
        ::send(socket, frames.data() + sent, frames.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<size_t>(count);
    } else if ((errno != EAGAIN && errno != EINTR) || !receive_some(socket, 0)) {
      return;  // it hung up
    }
  }
  ::shutdown(socket, SHUT_WR);
  while (receive_some(socket, 0)) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static FuzzedDaemon daemon;
  talk(daemon.connect().get(), frames_of(data, size));
  return 0;
}
