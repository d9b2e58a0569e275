#include "client/quirectl/manual/command_tree.h"

#include <CLI/CLI.hpp>

namespace quire::client {

namespace {

// CLI11 writes the words that a value may be behind its type: "TEXT:{ram,ssd}".
std::vector<std::string> words_in(const std::string& type) {
  std::vector<std::string> words;
  const size_t open = type.find('{');
  const size_t close = type.find('}', open);
  if (open == type.npos || close == type.npos) return words;
  size_t start = open + 1;
  while (start < close) {
    const size_t end = std::min(type.find(',', start), close);
    // A transformer's are "word->number".
    const std::string word = type.substr(start, end - start);
    words.push_back(word.substr(0, word.find("->")));
    start = end + 1;
  }
  return words;
}

CommandOption read_option(const CLI::Option& option) {
  CommandOption read;
  read.positional = option.get_positional();
  if (read.positional) {
    read.names.push_back(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) read.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) read.names.push_back("--" + name);
  }
  const std::string type = option.get_expected_min() == 0 && option.get_items_expected_max() == 0
                               ? std::string()
                               : option.get_type_name();
  read.words = words_in(type);
  read.value = type.substr(0, type.find_first_of(": "));
  read.help = option.get_description();
  read.environment = option.get_envname();
  read.required = option.get_required();
  const std::string& name = read.names.back();
  for (const char* part : {"FILE", "path", "socket", "ledger", "file", "book", "out", "with", "raw",
                           "layout", "quired", "head"}) {
    if (!type.empty() && name.ends_with(part)) read.file = true;
  }
  // Lists of them come in files; numbers of them are typed.
  if (read.value == "TEXT" && (name == "--tokens" || name == "--hashes")) read.file = true;
  return read;
}

std::string first_line_of(const std::string& text) { return text.substr(0, text.find('\n')); }

Command read_command(const CLI::App& app, const std::string& path) {
  Command command{.name = app.get_name(),
                  .path = path,
                  .help = app.get_description(),
                  .note = first_line_of(app.get_footer()),
                  .options = {},
                  .commands = {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option == app.get_help_ptr()) continue;
    command.options.push_back(read_option(*option));
  }
  for (const CLI::App* inner : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& name = inner->get_name();
    // A group of options, which has no word of its own.
    if (name.empty()) {
      for (const CLI::Option* option : inner->get_options()) {
        command.options.push_back(read_option(*option));
      }
      continue;
    }
    command.commands.push_back(read_command(*inner, path.empty() ? name : path + " " + name));
  }
  return command;
}

void collect(const Command& command, std::vector<const Command*>& found) {
  for (const Command& inner : command.commands) {
    const bool runs_alone = inner.commands.empty() || !inner.options.empty();
    if (runs_alone) found.push_back(&inner);
    collect(inner, found);
  }
}

}  // namespace

Command command_tree(const CLI::App& app) { return read_command(app, ""); }

std::vector<const Command*> runnable(const Command& program) {
  std::vector<const Command*> found;
  collect(program, found);
  return found;
}

}  // namespace quire::client
