// The daemon's advice (`policy advise`) for people: a line a policy, a column a size.
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace quire::client {

// kMalformedFrame when `json` is no advice.
model::Result<std::string> advice_table(std::string_view json);
struct AdvisedPolicy {
  std::string name;          // who would hit most at the tier's own size; empty: none is known
  double prompt_tokens = 0;  // that the advice is made of
};
// kMalformedFrame.
model::Result<AdvisedPolicy> advised_policy(std::string_view json);

}  // namespace quire::client
