// The daemon's JSON for people (status, verify, scrub): every key on a line, values aligned, nested
// objects and lists indented under their key, bytes and tokens in units that people read. Shows
// what is there, so a newer daemon's keys appear by themselves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// kMalformedFrame when `json` is none, or nested deeper than the parser's bound.
model::Result<std::string> status_table(std::string_view json);

// What the answer to a scrub or verify request counts, since the daemon's start.
struct ScrubCounts {
  uint64_t passes = 0;
  uint64_t damaged = 0;  // bad or unreadable
  bool running = false;
};
// kMalformedFrame when `json` is no such answer.
model::Result<ScrubCounts> scrub_counts(std::string_view json);

// A flag of the answer: "dropping", "switching".
// kMalformedFrame: it has no such flag.
model::Result<bool> flag_of(std::string_view json, std::string_view flag);

}  // namespace quire::client
