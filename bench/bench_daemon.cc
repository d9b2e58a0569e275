#include "bench/bench_daemon.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <future>

#include "server/core.h"
#include "server/runtime/log.h"

namespace quire::bench {

BenchDaemon::BenchDaemon(server::Options options, const server::DaemonSeams& seams) {
  std::string pattern = "/tmp/quire-bench-XXXXXX";
  QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
  // Standard output is the figures'; what is wrong is still told.
  server::set_log_level("error");
  directory_ = pattern;
  socket_path_ = directory_ + "/quired.sock";
  options.socket_path = socket_path_;
  daemon_ = or_exit(server::Daemon::create(options, seams), "start the daemon");
  thread_ = std::thread([this] { daemon_->run(); });
}

BenchDaemon::~BenchDaemon() {
  daemon_->stop();
  thread_.join();
  daemon_.reset();
  std::filesystem::remove_all(directory_);
}

std::unique_ptr<client::Client> BenchDaemon::connect(uint32_t spin_us) {
  return or_exit(client::Client::connect({.socket_path = socket_path_,
                                          .client_name = "bench",
                                          .call_timeout_ms = 120'000,
                                          .spin_us = spin_us}),
                 "connect");
}

void BenchDaemon::on_core(const std::function<void(server::Daemon&)>& function) {
  std::promise<void> done;
  daemon_->core().call([&] {
    function(*daemon_);
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace quire::bench
