#include "client/quirectl/trace/trace_command.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <ostream>

#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/option_types.h"
#include "client/quirectl/verb_outcome.h"
#include "client/quirectl/verb_words.h"
#include "model/socket_verbs.h"

namespace quire::client {

namespace {

int exit_code_or_report(const model::Result<int>& done, std::ostream& err) {
  return done.ok() ? *done : report(done.error(), err);
}

void add_record(CLI::App& trace, TraceCommandLine& line, DaemonCommandLine& daemon,
                std::ostream& out, std::ostream& err) {
  CLI::App* record = trace.add_subcommand(
      "record", "Write what is asked for from now on to a trace, as hashes; ^C ends it");
  note_role(*record, model::VerbRole::kAdministrator);
  record->add_option("--out", line.record.out, "this file; else standard output");
  record->add_option("--for", line.record.for_seconds, "for so long: 30s, 10m, 2h; else until ^C")
      ->transform(duration());
  CLI::Option* domain = record->add_option("--domain", line.record.scope.domain,
                                           "of this user alone (uid:1000); else of all");
  record
      ->add_option_function<std::string>(
          "--tenant", [&line](const std::string& name) { line.record.scope.tenant = name; },
          "of that user this tenant alone")
      ->needs(domain);
  record->callback([&] {
    const ClientOptions options = connection_options(daemon);
    daemon.exit_code = exit_code_or_report(run_trace_record(options, line.record, out, err), err);
  });
}

void add_replay(CLI::App& trace, TraceCommandLine& line, DaemonCommandLine& daemon,
                std::ostream& out, std::ostream& err) {
  CLI::App* replay = trace.add_subcommand(
      "replay", "Let the daemon serve the requests of a trace, and tell what it hit");
  note_role(*replay, model::VerbRole::kClient);
  replay->add_option("FILE", line.replay.path, "the trace: .jsonl, .jsonl.zst")->required();
  CLI::Option* speed =
      replay->add_option("--speed", line.replay.speed, "times as fast as the trace; 1 if none")
          ->check(CLI::PositiveNumber);
  replay->add_flag("--asap", line.replay.asap, "without the trace's pauses")->excludes(speed);
  replay->add_option("--limit", line.replay.limit, "the first so many requests");
  replay->add_option("--layout", line.replay.layout_path,
                     "pages of this layout (.toml); else one page of 4 KiB a block");
  replay->add_option("--sessions", line.replay.sessions, "requests served at once; 1 if none")
      ->check(CLI::Range(1u, kMostReplaySessions));
  replay->callback([&] {
    if (!settle_output(daemon.output, err)) {
      daemon.exit_code = kExitUsage;
      return;
    }
    ClientOptions options = connection_options(daemon);
    options.populate_segments = true;  // it reads what is hit
    daemon.exit_code =
        run_in_form(daemon.output, {.list = ""}, out, err, [&](bool json, std::ostream& to) {
          return exit_code_or_report(run_trace_replay(options, line.replay, json, to, err), err);
        });
  });
}

}  // namespace

void add_trace_commands(CLI::App& app, TraceCommandLine& line, DaemonCommandLine& daemon,
                        std::ostream& out, std::ostream& err) {
  const model::SocketVerb& verb = *model::find_verb(model::FrameType::kTrace);
  CLI::App* trace = app.add_subcommand(std::string(verb.name), std::string(verb.help));
  trace->require_subcommand(1);
  add_record(*trace, line, daemon, out, err);
  add_replay(*trace, line, daemon, out, err);
}

}  // namespace quire::client
