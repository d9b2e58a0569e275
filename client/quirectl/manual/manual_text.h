// quirectl's manual page, and the reference in docs/: the same commands, the same words.
#pragma once

#include <string>

#include "client/quirectl/manual/command_tree.h"

namespace quire::client {

// quirectl(1), for man(1).
std::string man_page(const Command& program, const std::string& version);
// docs/reference.md: commands, exit codes, and verbs of the socket by role.
std::string reference_page(const Command& program);

}  // namespace quire::client
