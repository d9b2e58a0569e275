// quired: the daemon's main.
#include <pthread.h>
#include <csignal>
#include <cstdio>
#include <thread>

#include "server/daemon.h"
#include "server/flags.h"
#include "server/log.h"
#include "tiering/ssd_rebuild.h"

namespace {

using quire::server::log;
using quire::server::LogLevel;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// First signal: stop in order. Second: at once.
void wait_for_signals(quire::server::Daemon& daemon, const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  log(LogLevel::kInfo, "stopping: signal " + std::to_string(signal));
  daemon.stop();
  sigwait(&signals, &signal);
  std::_Exit(kExitFailed);
}

int rebuild(const quire::server::CommandLine& line) {
  const auto report = quire::tiering::rebuild_manifest(
      {.directory = {.path = line.options.ssd_path}, .dry_run = line.rebuild_dry_run});
  if (!report.ok()) {
    std::fprintf(stderr, "quired: %s\n", report.error().text.c_str());
    return kExitFailed;
  }
  std::fputs(describe(*report).c_str(), stdout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto line = quire::server::parse_command_line(argc, argv);
  if (!line.ok()) {
    std::fprintf(stderr, "quired: %s\n", line.error().text.c_str());
    return kExitUsage;
  }
  if (line->print_config) std::fputs(quire::server::describe_config().c_str(), stdout);
  if (line->check_config) std::puts("configuration ok");
  if (line->print_config || line->check_config) return 0;

  if (line->rebuild || line->rebuild_dry_run) return rebuild(*line);
  quire::server::start_log(line->options.log_level);
  // Blocked before any thread starts, so that only the waiting thread sees them.
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  auto daemon = quire::server::Daemon::create(line->options);
  if (!daemon.ok()) {
    log(LogLevel::kError, "cannot start: " + daemon.error().text);
    return daemon.code() == quire::model::Errc::kInvalidArgument ? kExitUsage : kExitFailed;
  }
  log(LogLevel::kInfo, "listening on " + line->options.socket_path +
                           " ram_bytes=" + std::to_string(line->options.ram_bytes));
  std::thread(wait_for_signals, std::ref(**daemon), signals).detach();
  (*daemon)->run();
  log(LogLevel::kInfo, "stopped");
  daemon->reset();
  return 0;
}
