// The flags of a command line in their order, those of flag files in the place of their --flagfile.
//
// A flag file has one --name=value a line; empty lines and those that start with # do not count.
// Later ones win, as gflags has it. Read here and not by gflags alone, since that ignores names it
// does not know and ends the process when a file cannot be opened.
#pragma once

#include <string>
#include <vector>

#include "model/result.h"

namespace quire::server {

struct FlagLine {
  std::string text;    // "--name=value", "--name value" or "--name"
  std::string origin;  // "the command line" or "FILE:LINE"
};

// "--name=value" -> "name".
std::string flag_name(const std::string& text);

// kInvalidArgument: a file that cannot be read, a line that is no flag, files in files beyond 8.
model::Result<std::vector<FlagLine>> expand_flag_files(const std::vector<std::string>& arguments);

}  // namespace quire::server
