#include "server/runtime/service_notifier.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <utility>

#include "model/clock.h"

namespace quire::server {

namespace {

constexpr int64_t kNsPerUs = 1000;

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

// 0 for what is no number, or too large to be a time.
int64_t number_of(const std::string& text) {
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
  return whole && number > 0 && number <= std::numeric_limits<int64_t>::max() / kNsPerUs ? number
                                                                                         : 0;
}

bool is_socket_name(const std::string& path) {
  return path.size() > 1 && path.size() < sizeof(sockaddr_un::sun_path) &&
         (path[0] == '/' || path[0] == '@');
}

}  // namespace

ServiceNotifier::Options ServiceNotifier::take_environment() {
  Options options;
  options.socket_path = take_variable("NOTIFY_SOCKET");
  options.watchdog_ns = number_of(take_variable("WATCHDOG_USEC")) * kNsPerUs;
  // Of another process: a shell between the manager and the daemon is not what it watches.
  const std::string pid = take_variable("WATCHDOG_PID");
  if (!pid.empty() && pid != std::to_string(::getpid())) options.watchdog_ns = 0;
  return options;
}

ServiceNotifier::ServiceNotifier(Options options) : options_(std::move(options)) {
  if (!is_socket_name(options_.socket_path)) return;
  socket_ = model::FdGuard(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool ServiceNotifier::say(std::string_view message) const {
  if (!has_manager()) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(options_.socket_path.begin(), options_.socket_path.end(), address.sun_path);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + options_.socket_path.size());
  return ::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&address),
                  length) == static_cast<ssize_t>(message.size());
}

void ServiceNotifier::ready() const { say("READY=1"); }

void ServiceNotifier::reloading() const {
  // The time by which the manager tells this reload from an earlier one.
  const int64_t now_us = model::SystemClock().now_ns() / kNsPerUs;
  say("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now_us));
}

void ServiceNotifier::stopping() const {
  say("STOPPING=1\nSTATUS=stopping: clients are let go, fresh pages go to the SSD");
}

void ServiceNotifier::status(std::string_view text) {
  if (text == last_status_) return;
  // One that was not taken is said again with the next look.
  if (say("STATUS=" + std::string(text))) last_status_ = text;
}

void ServiceNotifier::step(int64_t now_ns) {
  const std::optional<int64_t> interval = interval_ns();
  if (!interval || (last_alive_ns_ != 0 && now_ns - last_alive_ns_ < *interval)) return;
  if (say("WATCHDOG=1")) last_alive_ns_ = now_ns;
}

std::optional<int64_t> ServiceNotifier::interval_ns() const {
  if (!has_manager() || options_.watchdog_ns == 0) return std::nullopt;
  return options_.watchdog_ns / 2;
}

int ServiceNotifier::most_sleep_ms() const {
  const std::optional<int64_t> interval = interval_ns();
  if (!interval) return std::numeric_limits<int>::max();
  return static_cast<int>(
      std::clamp<int64_t>(*interval / model::kNsPerMs, 1, std::numeric_limits<int>::max()));
}

}  // namespace quire::server
