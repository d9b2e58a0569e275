// `quirectl meter export`: receipts for other programs, in their formats.
#pragma once

#include <array>
#include <iosfwd>
#include <string_view>

#include "client/quirectl/meter/meter_options.h"

namespace quire::client {

inline constexpr std::array<const char*, 4> kMeterFormats{"jsonl", "csv", "cloudevents", "focus"};

// Rows of what `from`, `to`, `after` and `tenant` leave, in the order of the ledger; the same rows
// each time. What of the ledger was read is checked: faults are told on `err`, and it is
// kExitDegraded then, though every row was written; so it is where entries that followed `after`
// were removed for their age. kExitNotFound: the ledger ends before `after`.
// With `raw`: the stream itself into that file, for LedgerPlace::file. A file is written whole, or
// stays as it was.
int run_meter_export(const MeterOptions& options, std::ostream& out, std::ostream& err);

}  // namespace quire::client
