// `quirectl meter tail | show | export | bill | whatif | verify | head`: what the ledger of
// receipts holds, for people and for other programs, and whether it is what was written.
// docs/metering.md.
#pragma once

#include <iosfwd>

#include "client/quirectl/meter/meter_options.h"

namespace CLI {
class App;
}

namespace quire::client {

struct DaemonCommandLine;

// Adds these verbs to `meter`; `daemon` has the socket and the form of the answer, and takes the
// exit code. Both outlive the app.
void add_ledger_verbs(CLI::App& meter, MeterOptions& options, DaemonCommandLine& daemon,
                      std::ostream& out, std::ostream& err);

}  // namespace quire::client
