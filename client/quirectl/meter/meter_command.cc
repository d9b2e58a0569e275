#include "client/quirectl/meter/meter_command.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "client/quirectl/layout_command.h"
#include "client/quirectl/meter/bill_output.h"
#include "client/quirectl/option_types.h"
#include "client/quirectl/verb_outcome.h"

namespace quire::client {

namespace {

template <typename Run>
int run_with_form(const MeterCommandLine& line, std::ostream& out, std::ostream& err, Run run) {
  std::string form = *line.output;
  return settle_output(form, err)
             ? run_in_form(form, {.list = "lines", .columns = kBillColumns}, out, err, run)
             : kExitUsage;
}

CLI::Option* add_tokens(CLI::App& command, const std::string& name, uint64_t& tokens,
                        const std::string& text) {
  return command.add_option(name, tokens, text)->check(whole_number());
}

void add_quote(CLI::App& parent, MeterCommandLine& line, std::ostream& out, std::ostream& err) {
  CLI::App* command = parent.add_subcommand("quote", "Price one request by a price book");
  QuoteOptions& quote = line.quote;
  command->add_option("--book", quote.book_path, "price book (TOML)")->required();
  command->add_option("--model", quote.model, "name that the request asks for")->required();
  command->add_option("--at", quote.at, "when it begins: 2026-09-15T09:00:00+08:00")->required();
  add_tokens(*command, "--prompt", quote.prompt_tokens, "tokens of the prompt")->required();
  add_tokens(*command, "--hit", quote.hit_tokens, "of these, delivered by the cache");
  add_tokens(*command, "--replayed", quote.replayed_tokens, "of these, present but computed again");
  add_tokens(*command, "--written", quote.written_tokens, "tokens written to the cache");
  command->add_option("--retention", quote.retention, "TTL class of what is written: 5m");
  // The long name is the verb's here; -o is still the program's.
  add_tokens(*command, "--output", quote.output_tokens, "tokens of the answer");
  command->add_option("--tier", quote.tier, "service tier; default: standard");
  command->add_option("--currency", quote.currency, "one list of the book; default: each");
  command->add_option("--item", quote.items, "calls beside tokens, NAME=COUNT");
  command->add_flag("--explicit", quote.explicit_hit, "the request marked its prefix");
  command->callback([&line, &out, &err] {
    line.exit_code = run_with_form(line, out, err, [&](bool json, std::ostream& to) {
      return run_quote(line.quote, json, to, err);
    });
  });
}

}  // namespace

CLI::App& add_meter_commands(CLI::App& app, MeterCommandLine& line, std::ostream& out,
                             std::ostream& err) {
  CLI::App* meter = app.add_subcommand("meter", "What was metered, and what it costs");
  meter->require_subcommand(1);
  add_quote(*meter, line, out, err);
  return *meter;
}

}  // namespace quire::client
