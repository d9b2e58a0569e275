#include "server/start/inherited_socket.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string>

namespace quire::server {

namespace {

constexpr int kFirstPassed = 3;  // by the protocol: behind standard error
constexpr int kMostPassed = 64;  // beyond it the number is somebody's mistake

int take_number(const char* name) {
  const char* value = std::getenv(name);
  const std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() ? number : 0;
}

}  // namespace

model::Result<std::optional<model::FdGuard>> take_inherited_socket() {
  const int count = take_number("LISTEN_FDS");
  const int pid = take_number("LISTEN_PID");
  ::unsetenv("LISTEN_FDNAMES");
  // Left over in the environment by another program's start.
  if (count <= 0 || count > kMostPassed || pid != ::getpid()) {
    return std::optional<model::FdGuard>();
  }
  model::FdGuard socket(kFirstPassed);
  for (int fd = kFirstPassed; fd < kFirstPassed + count; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (count == 1) return std::optional(std::move(socket));
  for (int fd = kFirstPassed + 1; fd < kFirstPassed + count; ++fd) ::close(fd);
  return model::make_error(model::Errc::kInvalidArgument,
                           "the service manager passed " + std::to_string(count) +
                               " sockets; quired listens on one: leave one ListenStream= in the "
                               "socket unit");
}

}  // namespace quire::server
