// quirectl's commands as data: what its parser really takes, read off it. Completion, manual and
// reference are written from this and from nothing else, so they cannot say what is not so.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace quire::client {

struct CommandOption {
  std::vector<std::string> names;  // "-o", "--output"; of a positional its one word
  std::string value;               // what it takes: "TEXT", "UINT"; empty: nothing
  std::vector<std::string> words;  // that it may be; empty: any
  std::string help;
  std::string environment;  // variable that stands in for it; empty: none
  bool required = false;
  bool positional = false;
  bool file = false;  // names one, or a directory
};

struct Command {
  std::string name;  // the last word: "set"
  std::string path;  // all of them: "policy set"; of the program empty
  std::string help;
  std::string note;  // who may, by the table of verbs; empty: no daemon is asked
  std::vector<CommandOption> options;
  std::vector<Command> commands;
};

// Of the program whose parser this is. --help is left out: every command has it.
Command command_tree(const CLI::App& app);

// Every command that can be run, in the order of --help: those without commands of their own, and
// those that work without one, too.
std::vector<const Command*> runnable(const Command& program);

}  // namespace quire::client
