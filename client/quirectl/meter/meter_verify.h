// `quirectl meter verify` and `head`: whether a ledger is what was written, and what binds it.
#pragma once

#include <iosfwd>

#include "client/quirectl/meter/meter_options.h"

namespace quire::client {

// Reads all of it: a line a fault, then what was read and the head that may be signed off. With
// `head`: the one that was signed off earlier has to be in it. kExitDegraded: something is wrong.
int run_meter_verify(const MeterOptions& options, std::ostream& out, std::ostream& err);

// The present head as one line (head_text.h). Nothing is checked. kExitNotFound: there are no
// entries yet.
int run_meter_head(const MeterOptions& options, std::ostream& out, std::ostream& err);

}  // namespace quire::client
