// `quirectl ping | evict | flush | pin | unpin | verify | scrub | kept | policy | quota`: commands
// that talk to a running daemon. Each is a function over streams that returns the exit code
// (client/quirectl/exit_codes.h). Those that show how it is: client/quirectl/status.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "client/quirectl/exit_codes.h"
#include "client/quirectl/rebuild_command.h"

namespace CLI {
class App;
}

namespace quire::client {

// Of `status --watch` and `top`.
struct LiveChoice {
  bool watch = false;
  double interval_s = 1;
  uint64_t count = 0;  // 0: until it is ended
};

// What the parsed command line fills. Outlives the CLI::App.
struct DaemonCommandLine {
  std::string socket_path;  // empty: the library's default
  uint32_t timeout_ms = 5000;
  std::string output;         // "table", "json", "csv"; empty: $QUIRECTL_OUTPUT, else "table"
  std::string color;          // "auto", "always", "never"; empty: auto
  std::string status_format;  // "prometheus"; empty: as `output` says
  bool status_all = false;    // every figure
  LiveChoice live;
  bool verify_headers = false;
  std::string scrub_action;          // "start", "stop" or "status"
  uint64_t bytes_per_second = 0;     // of "start"; 0 = as the daemon is configured
  std::string kept_action = "show";  // or "drop"
  std::string kept_reason;           // of "drop"; empty: whatever it is
  bool yes = false;                  // of "drop" and evict; without: only tell what would go
  std::string scope_tier;            // "ram", "ssd"; of a policy "checkpoints"; empty: only show
  std::string scope_domain;          // "uid:N"; empty: all
  std::string scope_tenant;          // of that domain
  bool of_tenant = false;            // it was given, maybe empty
  std::string policy;                // of that part, from now on
  std::string advice_window;         // of `policy advise`: 15m, 1h or 24h; empty: 1h
  std::string price_book;            // of advice: in money, too; empty: in tokens alone
  std::string price_model;
  std::string price_currency;
  uint64_t guaranteed_bytes = 0;
  uint64_t burst_bytes = UINT64_MAX;  // no bound
  uint64_t weight = 1;
  uint64_t budget_bytes = 0;  // of what is pinned; 0: only show
  uint64_t for_seconds = 0;   // 0: until it is unpinned
  bool unpin_all = false;
  std::string namespace_name;  // of what is evicted, or pinned
  bool of_namespace = false;   // it was given, maybe empty
  uint64_t unused_seconds = 0;
  RebuildOptions rebuild;
  int exit_code = kExitOk;  // of the command that ran
};

// Prints "ok" and the round trip.
int run_ping(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
// Both print the daemon's answer. They are for administrators: else kExitNotAuthorised. verify
// waits until every page in memory, or all of the SSD tier, was read: kExitDegraded when damage was
// found.
int run_verify(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
// kExitUsage for another action, or bytes_per_second with one that takes none.
int run_scrub(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// With `yes` lets it go and tells what went, and waits for it; else tells what would leave the
// tier, and kExitRefused.
int run_evict(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// Waits until what is in RAM only is durable below: kExitDegraded when some could not be written.
int run_flush(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// What the SSD tier keeps and does not serve. "drop" waits until it is gone; without `yes` it is
// kExitRefused.
int run_kept(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// Who decides what is evicted, and which checkpoints are written. A change waits until every entry
// is the new policy's, and every session knows.
int run_policy(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// What each policy, at several sizes, would have hit.
int run_advise(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// What users and tenants may hold. A change waits until a restart will know it.
int run_quota(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
int run_clear_quota(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// What stays in RAM up to a budget. A change waits until it holds for what is there already, and
// until a restart will know it.
int run_pin(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
int run_unpin(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// Adds --socket, --timeout_ms and the commands, `rebuild` too; parsing runs the one named. --output
// is the program's (client/quirectl/command_line.h).
void add_daemon_commands(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                         std::ostream& err);

}  // namespace quire::client
