// The daemon's advice (`policy advise`) for people: a line a policy, a column a size.
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// kMalformedFrame when `json` is no advice.
model::Result<std::string> advice_table(std::string_view json);
// Who would hit most at the tier's own size; empty: nothing was asked for yet. kMalformedFrame.
model::Result<std::string> advised_policy(std::string_view json);

}  // namespace quire::client
