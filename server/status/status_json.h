// What parts say, as one JSON object: what `quirectl status` reads. Raw numbers in base units;
// sections are objects, lists arrays (or objects by their rows' label), a summary two numbers.
#pragma once

#include <string>

#include "server/status/metric_tape.h"

namespace quire::server {

// Any thread.
std::string json_of(const MetricTape& tape);

}  // namespace quire::server
