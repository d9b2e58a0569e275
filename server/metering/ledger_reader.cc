#include "server/metering/ledger_reader.h"

#include <utility>

#include "server/metering/ledger_rows.h"
#include "tiering/database/rocks_store.h"

namespace quire::server {

using model::Result;
using tiering::DatabaseReader;

tiering::DatabaseOptions ledger_database(const std::string& path) {
  return {.path = path,
          .name = "ledger",
          .repair =
              "move the directory away to begin a new one; quirectl meter verify --ledger DIR "
              "tells what of it is good",
          .thread_name = "quire-ledger"};
}

Result<void> export_ledger(const std::string& path, const LedgerQuery& query, model::FdGuard out) {
  tiering::DatabaseOptions options = ledger_database(path);
  options.read_only = true;
  const auto store = QUIRE_TRY(tiering::RocksStore::open(options));
  LedgerExport reader(query, std::move(out));
  LedgerExport::State state = LedgerExport::State::kMore;
  while (state == LedgerExport::State::kMore) {
    const auto step = [&](const DatabaseReader& database) -> Result<void> {
      const HeadRow head = QUIRE_TRY(read_head(database));
      state = reader.step(database, head.head);
      return {};
    };
    QUIRE_TRY(store->read(step));
  }
  if (reader.is_complete()) return {};
  return model::make_error(model::Errc::kIoError, "the ledger was not taken whole by its reader");
}

}  // namespace quire::server
