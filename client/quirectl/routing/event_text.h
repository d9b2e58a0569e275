// One event as a line, for people or as a JSON object (docs/events.md). Threads: any; no state.
#pragma once

#include <string>

#include "client/event_stream.h"

namespace quire::client {

// With the line's end. `full`: whole hashes, else their first 12 digits.
std::string event_line(const Event& event, bool full);
std::string event_json(const Event& event);

}  // namespace quire::client
