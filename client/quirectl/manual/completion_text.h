// Completion of quirectl's command line for three shells, from its commands.
#pragma once

#include <string>

#include "client/quirectl/manual/command_tree.h"

namespace quire::client {

// To be sourced: `source <(quirectl completion bash)`.
std::string bash_completion(const Command& program);
// To be put into a directory of $fpath as _quirectl.
std::string zsh_completion(const Command& program);
// To be sourced, or put into ~/.config/fish/completions.
std::string fish_completion(const Command& program);

}  // namespace quire::client
