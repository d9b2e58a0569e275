// The daemon's explanation of a miss as sentences that a person understands.
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// What was asked, what was delivered, the reason and what to do about it: a few lines.
// kMalformedFrame when `json` is no such answer. A reason that this release does not know is given
// by its word.
model::Result<std::string> why_text(std::string_view json);

}  // namespace quire::client
