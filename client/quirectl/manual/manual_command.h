// `quirectl completion bash|zsh|fish`, `quirectl man`, `quirectl reference`: what is written from
// the commands themselves. No daemon is asked.
#pragma once

#include <iosfwd>
#include <string>

namespace CLI {
class App;
}

namespace quire::client {

struct ManualCommandLine {
  std::string shell;
  std::string version;  // of the program
};

// To be added last. `line` and the app outlive the parsing.
void add_manual_commands(CLI::App& app, ManualCommandLine& line, std::ostream& out);

}  // namespace quire::client
