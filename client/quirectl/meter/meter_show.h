// `quirectl meter show`: sums of receipts by minute or hour, as the ledger keeps them.
#pragma once

#include <iosfwd>

#include "client/quirectl/meter/meter_options.h"

namespace quire::client {

// A row for each user, tenant, payer, namespace and model of each minute or hour that begins in
// the window, and their total. Turns are counted where they ended. Memory: its rows.
int run_meter_show(const MeterOptions& options, std::ostream& out, std::ostream& err);

}  // namespace quire::client
