#include "client/quirectl/why/why_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/verb_words.h"
#include "client/quirectl/why/why_output.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

// Token ids, apart by spaces, commas or brackets: plain lists, and a JSON array.
model::Result<std::vector<uint32_t>> read_tokens(std::istream& in, const std::string& path) {
  std::vector<uint32_t> tokens;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto wrong = [&](std::string_view what) {
    return model::make_error(model::Errc::kInvalidArgument, path + ": " + std::string(what));
  };
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    at = std::find_if_not(at, end, [](char c) { return std::strchr(" \t\r\n,[]", c) != nullptr; });
    if (at == end) break;
    uint32_t token = 0;
    const auto read = std::from_chars(at, end, token);
    if (read.ec != std::errc()) return wrong("holds what is no token id");
    tokens.push_back(token);
    at = read.ptr;
  }
  if (tokens.empty()) return wrong("holds no token ids");
  return tokens;
}

model::Result<std::string> ask_of_prompt(const WhyCommandLine& line, Client& client) {
  WhyPrompt prompt = line.prompt;
  prompt.scope = line.options.scope;
  prompt.layout = QUIRE_TRY(model::load_layout_file(line.layout_path));
  if (line.tokens_path == "-") {
    prompt.tokens = QUIRE_TRY(read_tokens(std::cin, "standard input"));
  } else {
    std::ifstream file(line.tokens_path);
    if (!file) {
      return model::make_error(model::Errc::kIoError,
                               line.tokens_path + ": " + std::strerror(errno));
    }
    prompt.tokens = QUIRE_TRY(read_tokens(file, line.tokens_path));
  }
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
      why->add_option("--namespace", line.prompt.namespace_name, "its namespace")->needs(tokens);
  tokens->needs(layout)->needs(space);
  why->add_option("--epoch", line.prompt.weights_epoch, "of the namespace; 0 if none")
      ->needs(tokens);
  why->add_option("--salt", line.prompt.salt, "its salt, if any")->needs(tokens);
  why->callback([&] {
    daemon.exit_code =
        settle_output(daemon.output, err) ? run_why(line, daemon, out, err) : kExitUsage;
  });
}

}  // namespace quire::client
