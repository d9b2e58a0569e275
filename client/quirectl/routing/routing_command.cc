#include "client/quirectl/routing/routing_command.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <ostream>

#include "client/quirectl/csv_lines.h"
#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/verb_outcome.h"
#include "client/quirectl/verb_words.h"

namespace quire::client {

namespace {

using RunRouting =
    std::function<model::Result<int>(const ClientOptions&, bool json, std::ostream&)>;

// Of events: those that some kind of event has.
constexpr std::string_view kEventColumns =
    "kind,time_us,sequence,last,epoch,tiers,object,tokens,parent_tokens,hash,parent,groups,objects,"
    "root,domain,tenant,namespace,weights_epoch,layout";

// Runs `verb` with the options of a connection.
void run_verb(DaemonCommandLine& daemon, std::ostream& out, std::ostream& err, bool is_stream,
              const RunRouting& verb) {
  daemon.exit_code = kExitUsage;
  if (!settle_output(daemon.output, err)) return;
  const auto run = [&](bool json, std::ostream& to) {
    const model::Result<int> done = verb(connection_options(daemon), json, to);
    return done.ok() ? *done : report(done.error(), err);
  };
  if (!is_stream) {
    daemon.exit_code = run_in_form(daemon.output, {.list = ""}, out, err, run);
    return;
  }
  daemon.exit_code = print_lines(daemon.output == "csv", kEventColumns, out, [&](std::ostream& to) {
    return run(daemon.output != "table", to);
  });
}

void add_tail(CLI::App& app, RoutingCommandLine& line, DaemonCommandLine& daemon, std::ostream& out,
              std::ostream& err) {
  CLI::App* events = add_verb(app, daemon, model::FrameType::kEvents);
  events->require_subcommand(1);
  CLI::App* tail = events->add_subcommand("tail", "Print events as they happen; ^C ends it");
  note_role(*tail, model::VerbRole::kClient);
  tail->add_flag("--snapshot", line.tail.snapshot, "first what is held, and again after a gap");
  tail->add_flag("--until_snapshot", line.tail.until_snapshot, "what is held, and no more");
  tail->add_flag("--own", line.tail.own, "of the own user alone; readers hear everybody's");
  tail->add_flag("--full", line.tail.full, "whole hashes in a table");
  tail->add_option("--after", line.tail.after, "go on behind this event: EPOCH:SEQUENCE");
  tail->add_option("--count", line.tail.count, "end after so many events");
  tail->callback([&] {
    run_verb(daemon, out, err, /*is_stream=*/true,
             [&](const ClientOptions& options, bool json, std::ostream& to) {
               line.tail.json = json;
               return run_events_tail(options, line.tail, to);
             });
  });
}

void add_locate(CLI::App& app, RoutingCommandLine& line, DaemonCommandLine& daemon,
                std::ostream& out, std::ostream& err) {
  CLI::App* locate = add_verb(app, daemon, model::FrameType::kLocate);
  LocateOptions& options = line.locate;
  locate->add_option("--layout", options.layout_path, "the model's layout (.toml)")->required();
  locate->add_option("--namespace", options.names.namespace_name, "as sessions name it")
      ->required();
  locate->add_option("--tenant", options.names.tenant, "whose hits");
  locate->add_option("--domain", options.names.domain,
                     "which user's (uid:1000); the own one if not given");
  locate->add_option("--weights_epoch", options.names.weights_epoch, "0 if not given");
  locate->add_option("--salt", options.names.salt, "as sessions give it");
  locate->add_option("--cluster_wait_ms", options.cluster_wait_ms,
                     "ask the cluster, too, and wait so long; not asked if not given");
  CLI::Option_group* content = locate->add_option_group("content");
  content->set_help_flag();  // the verb has one
  content->add_option("--tokens", options.tokens_path,
                      "file of token ids, or a JSON list of them; - for standard input");
  content->add_option("--hashes", options.hashes_path,
                      "file of an engine's unit hashes, in hex; likewise");
  content->require_option(1);
  locate->callback([&] {
    run_verb(daemon, out, err, /*is_stream=*/false,
             [&](const ClientOptions& connection, bool json, std::ostream& to) {
               line.locate.json = json;
               return run_locate(connection, line.locate, std::cin, to);
             });
  });
}

}  // namespace

void add_routing_commands(CLI::App& app, RoutingCommandLine& line, DaemonCommandLine& daemon,
                          std::ostream& out, std::ostream& err) {
  add_tail(app, line, daemon, out, err);
  add_locate(app, line, daemon, out, err);
}

}  // namespace quire::client
