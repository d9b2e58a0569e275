// What the service manager is told of the daemon (sd_notify(3)): that it is ready, a line of
// status, that it stops, and signs of life for the manager's watchdog. A message is one datagram to
// the socket that NOTIFY_SOCKET names. Written here and not linked: the protocol is this one send,
// and libsystemd would be a library more in every start.
//
// 1. Nobody waits: what the socket does not take at once is left out.
// 2. Signs of life come from step() alone, which the core calls between its turns. No thread and no
//    timer sends one, so they end when the core is stuck.
// 3. Without a manager every call does nothing.
// Threads: core only, but for what is const, which is for any. Lifetime: outlives whoever was given
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/fd_guard.h"

namespace quire::server {

class ServiceNotifier {
 public:
  struct Options {
    std::string socket_path;  // "@..." is an abstract name; empty: there is no manager
    int64_t watchdog_ns = 0;  // silent for so long is stuck; 0: nobody watches
  };
  // NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID of this process, which are taken out of the
  // environment: no child speaks for the daemon. Before threads start.
  static Options take_environment();

  explicit ServiceNotifier(Options options);

  // False: there is no manager, or its socket's name is none.
  bool has_manager() const { return socket_.valid(); }
  // "KEY=value", several of them a line each. False: nobody took it.
  bool say(std::string_view message) const;

  void ready() const;
  // Until the next ready(). Any thread, as ready().
  void reloading() const;
  void stopping() const;
  // For people: `systemctl status` shows it. Said only when it differs from the last.
  void status(std::string_view text);
  // A sign of life, when half of the watchdog's time is over since the last.
  void step(int64_t now_ns);
  // How often step() must be called; none: nobody watches. And how long its caller may sleep.
  std::optional<int64_t> interval_ns() const;
  int most_sleep_ms() const;

 private:
  Options options_;
  model::FdGuard socket_;
  std::string last_status_;
  int64_t last_alive_ns_ = 0;
};

}  // namespace quire::server
