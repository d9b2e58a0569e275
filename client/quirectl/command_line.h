// quirectl's command line as one function over streams: main() and tests call it.
//
// Options of the whole program (--socket, --timeout_ms, --output, --color) are taken on both sides
// of every verb; where a verb has an option of the same name, the one behind the verb wins.
#pragma once

#include <iosfwd>

namespace quire::client {

// The exit code. `version` is what --version prints.
int run_command_line(int argc, const char* const* argv, const char* version, std::ostream& out,
                     std::ostream& err);

}  // namespace quire::client
