// A whole daemon on a thread of the test, with a socket in a fresh directory.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "client/quire.h"
#include "server/daemon.h"
#include "tests/support/inspector.h"
#include "tests/support/meddler.h"

namespace quire::tests {

server::Options small_options();  // 64 MiB of RAM, small pages, short deadlines
// Beside an SSD of 64 MiB, which is written to at once.
server::Options small_options_with_ssd(const std::string& path);

// Into the cache of a daemon, on its core thread.
inline Inspector inspect(server::Daemon& daemon) { return Inspector(daemon.cache()); }
inline Meddler meddle(server::Daemon& daemon) { return Meddler(daemon.cache()); }

class TestDaemon {
 public:
  // `seams`: what stands between the daemon and the machine, at each start.
  explicit TestDaemon(server::Options options = small_options(), server::DaemonSeams seams = {});
  ~TestDaemon();  // stops it, after check_invariants()

  server::Options& options() { return options_; }  // for the next start
  const std::string& socket_path() const { return options_.socket_path; }
  std::unique_ptr<client::Client> connect(const std::string& name = "test");
  // Stops it, and starts a successor on the same socket.
  void restart();
  void stop();
  void start();
  // Runs on the core thread and waits for it.
  void on_core(const std::function<void(server::Daemon&)>& function);
  // The same without waiting.
  void post(std::function<void(server::Daemon&)> function);
  // Waits until the core has noticed; false when it never does.
  bool eventually(const std::function<bool(server::Daemon&)>& condition);
  // Of its cache, now.
  CacheCounters counters();
  // Leases, fills, sessions and clients are gone.
  bool is_quiet();

 private:
  server::Options options_;
  server::DaemonSeams seams_;
  std::string directory_;
  std::unique_ptr<server::Daemon> daemon_;
  std::thread thread_;
};

}  // namespace quire::tests
