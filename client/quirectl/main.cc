// quirectl: command line of Quire. Exit codes: 0 ok, 1 failed, 2 usage, 3 cannot connect, 4 not
// authorised, 5 not found; rebuild gives those of quired.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/layout_command.h"

namespace {

int run(int argc, char** argv) {
  quire::client::DaemonCommandLine daemon;
  quire::client::LayoutCommandLine layout;
  CLI::App app("Operates Quire, the KV cache daemon", "quirectl");
  app.set_version_flag("--version", "quirectl " QUIRE_VERSION);
  app.require_subcommand(1);
  quire::client::add_daemon_commands(app, daemon, std::cout, std::cerr);
  quire::client::add_layout_commands(app, layout, std::cout, std::cerr);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version come as errors with code 0.
    return app.exit(error) == 0 ? quire::client::kExitOk : quire::client::kExitUsage;
  }
  std::cout.flush();
  if (!std::cout) return quire::client::kExitFailed;
  // One command ran; the other's code is still 0.
  return daemon.exit_code != 0 ? daemon.exit_code : layout.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "quirectl: " << error.what() << '\n';
    return quire::client::kExitFailed;
  }
}
