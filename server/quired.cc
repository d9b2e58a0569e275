// quired: the daemon's main, and what its signals mean.
//
//   TERM, INT, QUIT    stop in order: clients are let go, fresh pages go to the SSD
//                      (the second signal, or kStopBound: stop at once)
//   HUP                reads the command line's flag files again; a closed terminal sends it too
//   USR1, USR2         nothing; they are logged
//   PIPE, XFSZ, TTOU   ignored: the write that caused them fails instead
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "model/clean_text.h"
#include "server/daemon.h"
#include "server/metering/ledger_reader.h"
#include "server/runtime/log.h"
#include "server/runtime/service_notifier.h"
#include "server/start/flags.h"
#include "server/start/inherited_socket.h"
#include "server/start/machine_check.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace {

using quire::server::log;
using quire::server::LogLevel;

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
// A stop takes no longer, whatever hangs: drains are bounded by 10 s (server/core.cc), the ledger's
// end by 10 s, and what else waits for a device is given up here. The unit's TimeoutStopSec is
// above.
constexpr std::chrono::seconds kStopBound{25};

// Every signal that people, terminals and tools send to a daemon; what ends it when it is not
// handled must be here.
sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

// These would end or stop the daemon for what a write can say by itself: a reader that is gone, a
// file above ulimit -f (whose size a client may choose), a terminal whose foreground is another's.
void ignore_write_signals() {
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGTTOU}) std::signal(signal, SIG_IGN);
}

// Without this the next file that is opened would take the number, and get the log's lines.
bool hold_standard_descriptors() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) ::close(fd);
  return fd >= 0;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

// What main() found, and threads share for the daemon's life.
struct Program {
  const quire::server::CommandLine* line = nullptr;
  quire::server::ServiceNotifier* service = nullptr;
  int listen_fd = -1;
};

void reload(quire::server::Daemon& daemon, const Program& program) {
  program.service->reloading();
  const auto fresh = quire::server::reload_flags(*program.line);
  if (fresh.ok()) {
    daemon.reload(fresh->options, fresh->changed);
    log(LogLevel::kInfo, "SIGHUP: changed: " + list_of(fresh->changed));
    if (!fresh->need_restart.empty()) {
      log(LogLevel::kWarning, "SIGHUP: needs a restart: " + list_of(fresh->need_restart));
    }
  } else {
    log(LogLevel::kError, "SIGHUP: nothing was changed: " + fresh.error().text);
  }
  program.service->ready();
}

// After the first of TERM, INT and QUIT, when the daemon may be gone: the second, or the bound,
// ends the process. Nothing else is done.
[[noreturn]] void end_in_time() {
  const auto deadline = std::chrono::steady_clock::now() + kStopBound;
  const sigset_t signals = handled_signals();
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    const timespec time{.tv_sec = left.count() / 1000, .tv_nsec = left.count() % 1000 * 1'000'000};
    const int signal = ::sigtimedwait(&signals, nullptr, &time);
    if (signal == SIGTERM || signal == SIGINT || signal == SIGQUIT) std::_Exit(kExitFailed);
  }
  log(LogLevel::kError,
      "the stop took longer than 25 s and is given up: what is not durable is lost");
  quire::server::stop_log();
  std::_Exit(kExitFailed);
}

void serve_signals(quire::server::Daemon& daemon, const Program& program) {
  const sigset_t signals = handled_signals();
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGTERM || signal == SIGINT || signal == SIGQUIT) {
      log(LogLevel::kInfo, "stopping: signal " + std::to_string(signal));
      daemon.stop();
      end_in_time();
    } else if (signal == SIGHUP) {
      reload(daemon, program);
    } else {
      log(LogLevel::kInfo, "signal " + std::to_string(signal) + " means nothing here");
    }
  }
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

// --export_ledger: to standard output, whatever reads that.
int export_ledger(const quire::server::CommandLine& line) {
  using What = quire::server::LedgerQuery::What;
  quire::server::LedgerQuery query;
  if (line.export_ledger == "minutes") {
    query.what = What::kMinutes;
  } else if (line.export_ledger == "hours") {
    query.what = What::kHours;
  } else if (line.export_ledger != "blocks") {
    std::fputs("quired: --export_ledger must be blocks, minutes or hours\n", stderr);
    return kExitUsage;
  }
  const auto done = quire::server::export_ledger(quire::server::ledger_path(line.options), query,
                                                 quire::model::FdGuard(::dup(STDOUT_FILENO)));
  if (done.ok()) return 0;
  std::fprintf(stderr, "quired: %s\n", done.error().text.c_str());
  return kExitFailed;
}

// --check_config: the flags are right; what the machine will do to a daemon that has them.
int check(const quire::server::Options& options) {
  std::puts("configuration ok");
  const auto findings = quire::server::check_machine(options);
  for (const auto& finding : findings) std::printf("machine: %s\n", describe(finding).c_str());
  auto start = quire::server::check_start(options);
  if (start.ok()) start = quire::server::check_engine(options);
  if (findings.empty() && start.ok()) std::puts("machine: nothing here will hurt this daemon");
  if (start.ok()) return 0;
  std::fprintf(stderr, "quired: cannot start: %s\n", start.error().text.c_str());
  return kExitFailed;
}

// --check_machine: a line for each thing that was looked at, "topic", or for each of its findings
// "topic what effect mend"; tabs in between, which no text has.
int tell_machine(const quire::server::Options& options) {
  for (const auto& [topic, findings] : quire::server::look_at_machine(options)) {
    if (findings.empty()) std::printf("%s\n", std::string(topic).c_str());
    for (const auto& finding : findings) {
      std::printf("%s\t%s\t%s\t%s\n", std::string(topic).c_str(), finding.what.c_str(),
                  finding.effect.c_str(), finding.mend.c_str());
    }
  }
  return 0;
}

void log_machine(const quire::server::Options& options) {
  const auto findings = quire::server::check_machine(options);
  for (const auto& finding : findings) log(LogLevel::kWarning, "machine: " + describe(finding));
  if (findings.empty() && quire::server::check_start(options).ok()) {
    log(LogLevel::kInfo, "machine: nothing here will hurt this daemon");
  }
}

int serve(const Program& program) {
  const quire::server::Options& options = program.line->options;
  log_machine(options);
  const quire::server::LiveConfig config{.rows = quire::server::config_rows,
                                         .plan = quire::server::plan_config,
                                         .keep = quire::server::keep_config};
  auto daemon = quire::server::Daemon::create(
      options, {.service = program.service, .listen_fd = program.listen_fd, .config = &config});
  if (!daemon.ok()) {
    log(LogLevel::kError, "cannot start: " + daemon.error().text);
    program.service->say("STATUS=cannot start: " + quire::model::escape_text(daemon.error().text));
    return daemon.code() == quire::model::Errc::kInvalidArgument ? kExitUsage : kExitFailed;
  }
  log(LogLevel::kInfo, "listening on " + (*daemon)->listening_on() +
                           (program.listen_fd < 0 ? "" : " (the service manager's)") +
                           " ram_bytes=" + std::to_string(options.ram_bytes));
  std::thread(serve_signals, std::ref(**daemon), program).detach();
  (*daemon)->run();
  log(LogLevel::kInfo, "stopped");
  daemon->reset();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (!hold_standard_descriptors()) return kExitFailed;
  // What it makes, and what libraries make for it, is nobody else's to read, in whatever directory.
  // The socket's mode is set by itself.
  ::umask(0077);
  // First of all: it takes descriptors by their numbers.
  const auto inherited = quire::server::take_inherited_socket();
  const auto line = quire::server::parse_command_line(argc, argv);
  if (!line.ok()) {
    std::fprintf(stderr, "quired: %s\n", line.error().text.c_str());
    return line.code() == quire::model::Errc::kResourceExhausted ? kExitFailed : kExitUsage;
  }
  if (line->print_man) std::fputs(quire::server::man_page().c_str(), stdout);
  if (line->print_config) std::fputs(quire::server::describe_config().c_str(), stdout);
  if (line->check_config) return check(line->options);
  if (line->check_machine) return tell_machine(line->options);
  if (line->print_config || line->print_man) return 0;

  if (line->rebuild || line->rebuild_dry_run) return rebuild(*line);
  ignore_write_signals();
  if (!line->export_ledger.empty()) return export_ledger(*line);
  if (!inherited.ok()) {
    std::fprintf(stderr, "quired: %s\n", inherited.error().text.c_str());
    return kExitUsage;
  }
  // Blocked before any thread starts, so that only the waiting thread sees them.
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  quire::server::ServiceNotifier service(quire::server::ServiceNotifier::take_environment());
  quire::server::start_log(line->options.log_level, line->options.log_format);
  const int code = serve({.line = &*line,
                          .service = &service,
                          .listen_fd = inherited->has_value() ? (*inherited)->get() : -1});
  quire::server::stop_log();
  return code;
}
