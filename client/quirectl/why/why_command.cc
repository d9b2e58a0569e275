#include "client/quirectl/why/why_command.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/prompt_input.h"
#include "client/quirectl/verb_words.h"
#include "client/quirectl/why/why_output.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

model::Result<std::string> ask_of_prompt(const WhyCommandLine& line, Client& client) {
  WhyPrompt prompt = line.prompt;
  prompt.names.domain = line.options.scope.domain;
  prompt.names.tenant = line.options.scope.tenant.value_or("");
  prompt.names.layout = QUIRE_TRY(model::load_layout_file(line.layout_path));
  const std::string text = QUIRE_TRY(read_prompt_text(line.tokens_path, std::cin));
  prompt.tokens = QUIRE_TRY(parse_tokens(text));
  return client.why_prompt_json(prompt);
}

model::Result<std::string> why_answer(const WhyCommandLine& line, Client& client) {
  if (!line.tokens_path.empty()) return ask_of_prompt(line, client);
  WhyOptions options = line.options;
  options.action = line.by_request   ? model::WhyAction::kRequest
                   : line.by_session ? model::WhyAction::kSession
                                     : model::WhyAction::kLast;
  return client.why_json(options);
}

}  // namespace

int run_why(const WhyCommandLine& line, const DaemonCommandLine& daemon, std::ostream& out,
            std::ostream& err) {
  const int meant =
      line.by_request + line.by_session + line.last + (line.tokens_path.empty() ? 0 : 1);
  if (meant != 1) {
    err << "quirectl why: which turn? --request ID, --session S [--turn N], --last, or of a prompt "
           "--tokens FILE\n";
    return kExitUsage;
  }
  return print_answer(daemon, out, err, {.name = "why", .list = "", .table = why_text},
                      [&line](Client& client) { return why_answer(line, client); });
}

void add_why_command(CLI::App& app, WhyCommandLine& line, DaemonCommandLine& daemon,
                     std::ostream& out, std::ostream& err) {
  CLI::App* why = add_verb(app, daemon, model::FrameType::kWhy);
  const auto set = [&line](bool& which) {
    return [&line, &which](const uint64_t& number) {
      which = true;
      line.options.number = number;
    };
  };
  why->add_option_function<uint64_t>("--request", set(line.by_request),
                                     "the turn of this request, by the engine's number");
  CLI::Option* session = why->add_option_function<uint64_t>("--session", set(line.by_session),
                                                            "of this session, as receipts name it");
  why->add_option("--turn", line.options.turn, "its turn of this number; else its last one")
      ->check(CLI::PositiveNumber)
      ->needs(session);
  why->add_flag("--last", line.last, "the last turn of all that fit");
  why->add_option("--domain", line.options.scope.domain, "of this user alone (uid:1000)");
  why->add_option_function<std::string>(
      "--tenant", [&line](const std::string& name) { line.options.scope.tenant = name; },
      "of this tenant alone");
  CLI::Option* tokens = why->add_option("--tokens", line.tokens_path,
                                        "of no turn, but of this prompt and now: token ids; -: "
                                        "standard input");
  CLI::Option* layout =
      why->add_option("--layout", line.layout_path, "its layout (.toml)")->needs(tokens);
  CLI::Option* space =
      why->add_option("--namespace", line.prompt.names.namespace_name, "its namespace")
          ->needs(tokens);
  tokens->needs(layout)->needs(space);
  why->add_option("--weights_epoch", line.prompt.names.weights_epoch, "of the namespace; 0 if none")
      ->needs(tokens);
  why->add_option("--salt", line.prompt.names.salt, "its salt, if any")->needs(tokens);
  why->callback([&] {
    daemon.exit_code =
        settle_output(daemon.output, err) ? run_why(line, daemon, out, err) : kExitUsage;
  });
}

}  // namespace quire::client
