#include "tests/support/test_daemon.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <future>

#include "server/core.h"
#include "tests/support/patience.h"
#include "tests/support/patient_client.h"

namespace quire::tests {

server::Options small_options() {
  server::Options options;
  options.ram_bytes = 64ull << 20;
  options.segment_bytes = 64ull << 20;
  options.huge_pages = allocator::HugePages::kOff;
  options.spin_us = 20;
  options.default_deadline_ms = kPatienceMs;
  options.max_nodes = 1 << 20;
  options.ghost_bytes = 0;  // for tests that are of them
  return options;
}

server::Options small_options_with_ssd(const std::string& path) {
  server::Options options = small_options();
  options.ssd_path = path;
  options.ssd_bytes = 64 << 20;
  options.ssd_region_bytes = 1 << 20;
  options.ssd_write_delay_ms = 0;
  return options;
}

TestDaemon::TestDaemon(server::Options options, server::DaemonSeams seams)
    : options_(std::move(options)), seams_(std::move(seams)) {
  std::string pattern = "/tmp/quire-test-XXXXXX";
  QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  QUIRE_CHECK(::chmod(directory_.c_str(), 0755) == 0);  // for tests that change their uid
  options_.socket_path = directory_ + "/quired.sock";
  options_.socket_mode = 0666;
  start();
}

TestDaemon::~TestDaemon() {
  if (daemon_ != nullptr) {
    on_core([](server::Daemon& daemon) { daemon.cache().check_invariants(); });
    stop();
  }
  std::filesystem::remove_all(directory_);
}

void TestDaemon::start() {
  auto created = server::Daemon::create(options_, seams_);
  if (!created.ok()) std::fprintf(stderr, "daemon: %s\n", created.error().text.c_str());
  QUIRE_CHECK(created.ok());
  daemon_ = std::move(created).value();
  thread_ = std::thread([this] { daemon_->run(); });
}

void TestDaemon::stop() {
  daemon_->stop();
  thread_.join();
  daemon_.reset();
}

void TestDaemon::restart() {
  stop();
  start();
}

std::unique_ptr<client::Client> TestDaemon::connect(const std::string& name) {
  auto connected = client::Client::connect(patient_client(options_.socket_path, name));
  if (!connected.ok()) std::fprintf(stderr, "connect: %s\n", connected.error().text.c_str());
  QUIRE_CHECK(connected.ok());
  return std::move(connected).value();
}

void TestDaemon::on_core(const std::function<void(server::Daemon&)>& function) {
  std::promise<void> done;
  daemon_->core().call([&] {
    function(*daemon_);
    done.set_value();
  });
  done.get_future().wait();
}

void TestDaemon::post(std::function<void(server::Daemon&)> function) {
  daemon_->core().call([this, function = std::move(function)] { function(*daemon_); });
}

bool TestDaemon::eventually(const std::function<bool(server::Daemon&)>& condition) {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < kPatience) {
    bool holds = false;
    on_core([&](server::Daemon& daemon) { holds = condition(daemon); });
    if (holds) return true;
    std::this_thread::yield();
  }
  return false;
}

CacheCounters TestDaemon::counters() {
  CacheCounters counters;
  on_core([&](server::Daemon& daemon) { counters = inspect(daemon).counters(); });
  return counters;
}

bool TestDaemon::is_quiet() {
  return eventually([](server::Daemon& daemon) {
    return daemon.cache().lease_count() == 0 && daemon.cache().fill_count() == 0 &&
           daemon.core().registry().session_count() == 0 &&
           daemon.core().registry().shared_bytes() == daemon.core().registry().kept_bytes();
  });
}

}  // namespace quire::tests
