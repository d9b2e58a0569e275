// A ledger's directory without its daemon: where it lies, and all of it as a stream.
// Threads: any; no state.
#pragma once

#include <string>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/metering/ledger_export.h"
#include "tiering/database/database_options.h"

namespace quire::server {

// Of the database in `path`, as the ledger's writer and its readers open it.
tiering::DatabaseOptions ledger_database(const std::string& path);

// Writes it to `out` (model/receipts/ledger_stream.h), blocking, and changes nothing in it. Where a
// daemon has it open, it is as of now. kNotFound: nothing is there. kCorrupt, kIoError; also when
// the reader is gone.
model::Result<void> export_ledger(const std::string& path, const LedgerQuery& query,
                                  model::FdGuard out);

}  // namespace quire::server
