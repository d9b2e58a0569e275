#include "client/quirectl/status/status_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <ostream>
#include <utility>

#include "client/quirectl/csv_lines.h"
#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/daemon_command.h"
#include "client/quirectl/status/live_screen.h"
#include "client/quirectl/status/status_facts.h"
#include "client/quirectl/status/status_screen.h"
#include "client/quirectl/status/top_lines.h"
#include "client/quirectl/verb_words.h"

namespace quire::client {

namespace {

// Columns of lists that may be empty.
constexpr std::string_view kSessionColumns =
    "session,domain,tenant,namespace,processes,idle_ms,turns,prompt_tokens,hit_tokens,"
    "announced_tokens,output_tokens,leases,shared_bytes";
constexpr std::string_view kTenantColumns =
    "domain,tenant,sessions,ram_bytes,ram_reserved_bytes,ram_admitted_bytes,ssd_bytes";

using model::FrameType;
using model::Result;

// Ghosts of the SSD are of RAM and SSD as one place.
model::TierId widest_tier(const DaemonFacts& daemon) {
  const bool ssd = std::any_of(daemon.tiers.begin(), daemon.tiers.end(), [](const auto& tier) {
    return tier.name == "ssd" && tier.state != "off";
  });
  return ssd ? model::TierId::kSsd : model::TierId::kRam;
}

// All that this caller is shown. What is refused to it, or is not there, is left out.
Result<StatusFacts> look_at(Client& client, bool with_sessions) {
  const std::string status = QUIRE_TRY(client.status_json());
  StatusFacts facts;
  facts.daemon = QUIRE_TRY(read_status(status));
  if (facts.daemon.scope == "own") return facts;
  const auto advice = client.advice_json(widest_tier(facts.daemon), model::AdviceWindow::kQuarter);
  if (advice.ok()) facts.window = QUIRE_TRY(read_window(*advice));
  const auto tenants = client.tenants_json();
  if (tenants.ok()) facts.tenants = QUIRE_TRY(read_tenants(*tenants));
  if (!with_sessions) return facts;
  const std::string sessions = QUIRE_TRY(client.sessions_json());
  facts.sessions = QUIRE_TRY(read_sessions(sessions));
  return facts;
}

bool is_for_people(const DaemonCommandLine& line) {
  return line.output.empty() || line.output == "table";
}

LiveOptions live_options(const DaemonCommandLine& line) {
  const bool screen = is_for_people(line);
  return {.interval_ms = static_cast<uint32_t>(line.live.interval_s * 1000),
          .count = line.live.count,
          .terminal = screen && stdout_is_terminal() && stdin_is_terminal(),
          .lines = !screen};
}

int64_t unix_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// One connection for all frames; a daemon that went is looked for again with the next frame.
class Onlooker {
 public:
  Onlooker(const DaemonCommandLine& line, bool with_sessions)
      : line_(line), with_sessions_(with_sessions) {}

  Result<StatusFacts> look() {
    if (client_ == nullptr) client_ = QUIRE_TRY(connect_to_daemon(line_));
    auto facts = look_at(*client_, with_sessions_);
    if (!facts.ok()) client_.reset();
    return facts;
  }

 private:
  const DaemonCommandLine& line_;
  bool with_sessions_;
  std::unique_ptr<Client> client_;
};

std::string lost_text(const model::Error& error) {
  return "no answer: " + std::string(model::errc_name(error.code)) + ": " + error.text + "\n";
}

int watch_status(const DaemonCommandLine& line, const Palette& palette, std::ostream& out) {
  Onlooker onlooker(line, false);
  run_live_screen(live_options(line), out, [&](const ScreenSize&) {
    const auto facts = onlooker.look();
    return facts.ok() ? status_screen(*facts, palette) : lost_text(facts.error());
  });
  return kExitOk;
}

Result<std::string> sessions_text(std::string_view json) {
  return sessions_table(QUIRE_TRY(read_sessions(json)));
}

Result<std::string> tenants_text(std::string_view json) {
  return tenants_table(QUIRE_TRY(read_tenants(json)));
}

void add_live_options(CLI::App& verb, DaemonCommandLine& line) {
  verb.add_option("--interval", line.live.interval_s, "seconds between two looks; 1 if none")
      ->check(CLI::Range(0.01, 86400.0));
  verb.add_option("-n,--count", line.live.count, "end after so many; else with q or ^C");
}

}  // namespace

int run_status(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  if (!line.status_format.empty()) {
    const auto client = connect_to_daemon(line);
    if (!client.ok()) return report(client.error(), err);
    const auto text = (*client)->status_text(model::StatusFormat::kPrometheus);
    if (!text.ok()) return report(text.error(), err);
    out << *text;
    return kExitOk;
  }
  if (line.live.watch && !is_for_people(line)) return run_top(line, out, err);
  if (!is_for_people(line) || line.status_all) {
    return print_answer(line, out, err, {.name = "status", .list = "", .table = nullptr},
                        [](Client& client) { return client.status_json(); });
  }
  const Palette palette = Palette::chosen(line.color, stdout_is_terminal());
  if (line.live.watch) return watch_status(line, palette, out);
  const auto facts = Onlooker(line, false).look();
  if (!facts.ok()) return report(facts.error(), err);
  out << status_screen(*facts, palette);
  return kExitOk;
}

int run_top(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  using Clock = std::chrono::steady_clock;
  const Palette palette = Palette::chosen(line.color, stdout_is_terminal());
  Onlooker onlooker(line, true);
  // Said once, as any verb says it; what comes later is on the screen.
  auto facts = onlooker.look();
  if (!facts.ok()) return report(facts.error(), err);
  if (facts->daemon.scope == "own") {
    err << "quirectl: top is for readers (--reader_uids of quired), root or the daemon's own uid\n";
    return kExitNotAuthorised;
  }
  const bool screen = is_for_people(line);
  Between between;
  Clock::time_point before = Clock::now();
  bool looked = true;  // for the first screen, which has no rates
  const auto frame = [&](const ScreenSize& size) -> std::string {
    if (!std::exchange(looked, false)) facts = onlooker.look();
    if (!facts.ok() && !screen) {
      report(facts.error(), err);
      return {};
    }
    if (!facts.ok()) return lost_text(facts.error());
    const Clock::time_point now = Clock::now();
    // After a restart the counters begin anew.
    const bool same = facts->daemon.epoch == between.before.epoch;
    between.seconds = same ? std::chrono::duration<double>(now - before).count() : 0;
    const std::string text =
        screen ? top_screen(*facts, between, size, palette) : top_line(*facts, between, unix_us());
    between.before = facts->daemon;
    before = now;
    return text;
  };
  return print_lines(line.output == "csv", kTopColumns, out, [&](std::ostream& to) {
    run_live_screen(live_options(line), to, frame);
    return kExitOk;
  });
}

int run_sessions(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(
      line, out, err,
      {.name = "sessions", .list = "sessions", .columns = kSessionColumns, .table = sessions_text},
      [](Client& client) { return client.sessions_json(); });
}

int run_tenants(const DaemonCommandLine& line, std::ostream& out, std::ostream& err) {
  return print_answer(
      line, out, err,
      {.name = "tenants", .list = "tenants", .columns = kTenantColumns, .table = tenants_text},
      [](Client& client) { return client.tenants_json(); });
}

void add_status_commands(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                         std::ostream& err) {
  CLI::App* status = add_verb(app, line, FrameType::kStatus);
  CLI::Option* format =
      status->add_option("--format", line.status_format,
                         "prometheus: the text that a scraper takes, whatever --output says");
  format->check(CLI::IsMember({"prometheus"}));
  CLI::Option* all = status->add_flag("--all", line.status_all, "every figure, not one screen");
  CLI::Option* watch = status->add_flag("--watch", line.live.watch,
                                        "draw it anew each interval; json, csv: what top prints");
  watch->excludes(format)->excludes(all);
  add_live_options(*status, line);
  run_when_parsed(*status, line, out, err, run_status);
  CLI::App* top = app.add_subcommand(
      "top", "Watch what the daemon does: rates, tiers, sessions and tenants, each second");
  note_role(*top, model::VerbRole::kReader);
  add_live_options(*top, line);
  run_when_parsed(*top, line, out, err, run_top);
  run_when_parsed(*add_verb(app, line, FrameType::kSessions), line, out, err, run_sessions);
  run_when_parsed(*add_verb(app, line, FrameType::kTenants), line, out, err, run_tenants);
}

}  // namespace quire::client
