// The demo's last step: an operator asks what another eviction policy would bring, and lets it take
// over while the daemon runs.
#pragma once

#include <string>

#include "model/result.h"

namespace quire::client {

// Against a daemon of 64 MiB of RAM and nobody else: conversations among long prompts that nobody
// asks for again. Prints advice, the switch, and what the same requests hit before and after.
model::Result<void> show_operator(const std::string& socket_path);

}  // namespace quire::client
