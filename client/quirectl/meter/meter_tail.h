// `quirectl meter tail`: the last receipts, and those to come.
#pragma once

#include <iosfwd>

#include "client/quirectl/meter/meter_options.h"

namespace quire::client {

// A line each, oldest first; with -o json those of `meter export`. With `follow` it goes on until
// the daemon ends, which is no failure.
int run_meter_tail(const MeterOptions& options, std::ostream& out, std::ostream& err);

}  // namespace quire::client
