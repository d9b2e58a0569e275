// The daemon's JSON for people (status, verify, scrub): every key on a line, values aligned, nested
// objects and lists indented under their key. Shows what is there, so a newer daemon's keys appear
// by themselves.
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// kMalformedFrame when `json` is none, or nested deeper than the parser's bound.
model::Result<std::string> status_table(std::string_view json);

}  // namespace quire::client
