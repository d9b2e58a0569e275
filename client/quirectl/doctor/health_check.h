// One thing that the doctor looked at: whether it is well, and if not, what that costs and what
// mends it.
#pragma once

#include <string>
#include <vector>

#include "client/quirectl/palette.h"

namespace quire::client {

struct HealthCheck {
  std::string topic;  // one word
  bool well = true;
  std::string what;    // what was found
  std::string effect;  // what it costs; empty where it is well
  std::string mend;    // the command, or the flag; likewise
};
using HealthChecks = std::vector<HealthCheck>;

bool all_well(const HealthChecks& checks);
// What is wrong first.
std::string health_table(const HealthChecks& checks, const Palette& palette);
// {"checks":[{"check":...,"ok":...,...}]}
std::string health_json(const HealthChecks& checks);

}  // namespace quire::client
