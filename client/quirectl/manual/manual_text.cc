#include "client/quirectl/manual/manual_text.h"

#include <algorithm>
#include <array>

#include "client/quirectl/exit_codes.h"
#include "model/socket_verbs.h"

namespace quire::client {

namespace {

using model::VerbAction;
using model::VerbRole;

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

// "-o, --output table|json|csv"
std::string option_head(const CommandOption& option) {
  const std::string value = option.words.empty() ? option.value : joined(option.words, "|");
  if (option.positional) {
    return option.names.front() + (option.words.empty() ? "" : " (" + value + ")");
  }
  return joined(option.names, ", ") + (value.empty() ? "" : " " + value);
}

std::string option_text(const CommandOption& option) {
  std::string text = option.help;
  if (option.required) text += " (required)";
  if (!option.environment.empty()) text += " (" + option.environment + ")";
  return text;
}

// A line of roff: nothing of it is a request, no dash is a hyphen.
std::string roff(const std::string& text) {
  std::string out = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
  for (const char letter : text) {
    if (letter == '\\') {
      out += "\\e";
    } else if (letter == '-') {
      out += "\\-";
    } else {
      out += letter;
    }
  }
  return out;
}

std::string roff_options(const Command& command) {
  std::string text;
  for (const CommandOption& option : command.options) {
    text += ".TP\n.B " + roff(option_head(option)) + "\n" + roff(option_text(option)) + "\n";
  }
  return text;
}

// Bars would end a cell of a table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char letter : text) out += letter == '|' ? "\\|" : std::string(1, letter);
  return out;
}

std::string option_rows(const Command& command) {
  if (command.options.empty()) return {};
  std::string text = "\n| option | |\n|---|---|\n";
  for (const CommandOption& option : command.options) {
    text += "| `" + cell(option_head(option)) + "` | " + cell(option_text(option)) + " |\n";
  }
  return text;
}

std::string exit_rows() {
  std::string text = "| code | meaning |\n|---|---|\n";
  for (const ExitCode& code : kExitCodes) {
    text += "| " + std::to_string(code.code) + " | " + std::string(code.meaning) + " |\n";
  }
  return text;
}

// What an action, or the whole verb, takes.
std::string arguments_of(const model::SocketVerb& verb, const VerbAction* action) {
  std::string text;
  for (const model::VerbArgument& argument : verb.codec.arguments) {
    const bool of_it = argument.actions == model::VerbArgument::kEveryAction ||
                       (action != nullptr && (argument.actions >> action->value & 1) != 0);
    if (of_it) text += (text.empty() ? "" : ", ") + std::string(argument.name);
  }
  return text;
}

std::string role_row(const model::SocketVerb& verb, const VerbAction* action) {
  static constexpr std::array<model::PeerRoles, 4> kPeers{
      {{}, {.reader = true}, {.meter = true}, {.administrator = true}}};
  const VerbRole role = model::role_of(verb, action);
  std::string row = "| " + verb_text(verb, action);
  for (const model::PeerRoles& peer : kPeers) row += peer.has(role) ? " | yes" : " | ";
  const bool destructive = verb.destructive && action != nullptr && action->audited;
  row += destructive ? " | yes" : " | ";
  row += action != nullptr && action->audited ? " | yes" : " | ";
  return row + " | " + arguments_of(verb, action) + " |\n";
}

std::string role_rows() {
  std::string text =
      "| verb | client | reader | meter | administrator | needs --yes | audited | arguments |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const model::SocketVerb& verb : model::kSocketVerbs) {
    if (verb.codec.actions.empty()) text += role_row(verb, nullptr);
    for (const VerbAction& action : verb.codec.actions) text += role_row(verb, &action);
  }
  return text;
}

}  // namespace

std::string man_page(const Command& program, const std::string& version) {
  std::string text = ".TH QUIRECTL 1 \"\" \"Quire " + version +
                     "\" \"Quire\"\n.SH NAME\nquirectl \\- operates Quire, the KV cache daemon\n"
                     ".SH SYNOPSIS\n.B quirectl\n[\\fIoptions\\fR] \\fIcommand\\fR "
                     "[\\fIarguments\\fR]\n.SH OPTIONS\nBefore or behind every command:\n" +
                     roff_options(program) + ".SH COMMANDS\n";
  for (const Command* command : runnable(program)) {
    text += ".SS " + roff(command->path) + "\n" + roff(command->help) + ".\n";
    if (!command->note.empty()) text += ".br\n" + roff(command->note) + "\n";
    text += roff_options(*command);
  }
  text += ".SH EXIT STATUS\n";
  for (const ExitCode& code : kExitCodes) {
    text += ".TP\n.B " + std::to_string(code.code) + "\n" + roff(std::string(code.meaning)) + "\n";
  }
  return text;
}

std::string reference_page(const Command& program) {
  std::string text =
      "# Reference of quirectl\n\n"
      "Made by `quirectl reference` from the commands as they are; a test compares the two.\n\n"
      "## Options of every command\n\nThey are taken before and behind the command.\n" +
      option_rows(program) + "\n## Exit codes\n\n" + exit_rows() +
      "\n`quirectl rebuild` gives those of `quired`.\n\n## Commands\n";
  for (const Command* command : runnable(program)) {
    text += "\n### quirectl " + command->path + "\n\n" + command->help + ".";
    if (!command->note.empty()) text += " " + command->note;
    text += "\n" + option_rows(*command);
  }
  return text +
         "\n## Verbs of the socket, and who may call them\n\n"
         "A role is needed for an action. Clients are all who may connect, and reach what is of "
         "their own domain; readers (`--reader_uids`) see what is everybody's and change nothing; "
         "meters (`--meter_uids`) read receipts; administrators are root and the daemon's own "
         "uid. What is audited is a line of the log for each change, with who made it.\n\n" +
         role_rows();
}

}  // namespace quire::client
