#include "client/quirectl/manual/manual_command.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "client/quirectl/manual/command_tree.h"
#include "client/quirectl/manual/completion_text.h"
#include "client/quirectl/manual/manual_text.h"

namespace quire::client {

namespace {

std::string completion_of(const CLI::App& app, const std::string& shell) {
  const Command program = command_tree(app);
  if (shell == "zsh") return zsh_completion(program);
  return shell == "fish" ? fish_completion(program) : bash_completion(program);
}

}  // namespace

void add_manual_commands(CLI::App& app, ManualCommandLine& line, std::ostream& out) {
  CLI::App* completion =
      app.add_subcommand("completion", "Print what a shell needs to complete quirectl's commands");
  completion->add_option("SHELL", line.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&] { out << completion_of(app, line.shell); });
  app.add_subcommand("man", "Print the manual page, for man(1): quirectl man | man -l -")
      ->callback([&] { out << man_page(command_tree(app), line.version); });
  app.add_subcommand("reference",
                     "Print the reference of all commands, as docs/reference.md has it")
      ->callback([&] { out << reference_page(command_tree(app)); });
}

}  // namespace quire::client
