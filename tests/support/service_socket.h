// A service manager's end of sd_notify: a datagram socket of a name of its own, that keeps what it
// is told.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "model/check.h"
#include "model/fd_guard.h"
#include "tests/support/patience.h"

namespace quire::tests {

class ServiceSocket {
 public:
  // An abstract name: no file is left when a test dies.
  ServiceSocket() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin() + 1, path_.end(), address.sun_path + 1);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
    QUIRE_CHECK(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  }

  const std::string& path() const { return path_; }  // of NOTIFY_SOCKET

  // The next message; empty when none came within `wait_ms`.
  std::string next(int wait_ms = static_cast<int>(kPatienceMs)) const {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, wait_ms) <= 0) return {};
    std::array<char, 4096> bytes;
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    return got <= 0 ? std::string() : std::string(bytes.data(), static_cast<size_t>(got));
  }
  // Whether a message that begins so comes; what came before it is dropped.
  bool comes(const std::string& start) const {
    for (std::string message = next(); !message.empty(); message = next()) {
      if (message.starts_with(start)) return true;
    }
    return false;
  }
  void drop_all() const {
    while (!next(0).empty()) {
    }
  }

 private:
  static inline int made_ = 0;
  const std::string path_ =
      "@quire-service-" + std::to_string(::getpid()) + "-" + std::to_string(++made_);
  const model::FdGuard fd_;
};

}  // namespace quire::tests
