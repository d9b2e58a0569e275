// The daemon's program, run for what it does without being a daemon.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "model/result.h"

namespace quire::client {

// Beside this program's own file, else "quired": a name without a slash is searched for in PATH.
std::string find_quired();

// Starts it with these arguments. `output`: a descriptor that becomes its standard output; -1: this
// process's own. kNotFound: there is none; kIoError: it cannot be run.
model::Result<pid_t> start_quired(const std::string& quired, std::vector<std::string> arguments,
                                  int output = -1);

// Its exit code. kIoError: a signal ended it.
model::Result<int> wait_for_quired(pid_t child);

}  // namespace quire::client
