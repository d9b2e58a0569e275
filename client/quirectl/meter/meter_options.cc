#include "client/quirectl/meter/meter_options.h"

#include <ostream>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/verb_outcome.h"
#include "model/prices/instant.h"

namespace quire::client {

using model::Errc;
using model::Result;

Result<MeterWindow> window_of(const MeterOptions& options) {
  MeterWindow window;
  if (!options.from.empty()) window.from_us = QUIRE_TRY(prices::parse_instant(options.from));
  if (!options.to.empty()) window.to_us = QUIRE_TRY(prices::parse_instant(options.to));
  if (window.from_us < window.to_us) return window;
  return model::make_error(Errc::kInvalidArgument,
                           "--from " + options.from + " is not before --to " + options.to);
}

int meter_failure(const model::Error& error, std::ostream& err) { return report(error, err); }

void print_fault(const WalkFault& fault, std::ostream& stream) {
  stream << fault.kind << ' ' << to_text(fault.position) << ": " << fault.text << '\n';
}

}  // namespace quire::client
