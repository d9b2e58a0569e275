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
              "move the directory and the file of its name with .count away to begin a new one; "
              "quirectl "
              "meter verify --ledger DIR "
              "tells what of it is good",
          .thread_name = "quire-ledger"};
}

namespace {

using Store = std::unique_ptr<tiering::RocksStore>;

// One that is damaged is told to the reader, behind what could be read.
LedgerExport::State step(const Result<Store>& store, LedgerExport& reader) {
  if (!store.ok()) return reader.fail({}, store.error());
  LedgerExport::State state = LedgerExport::State::kMore;
  model::LedgerHead head;
  const auto read = (*store)->read([&](const DatabaseReader& database) -> Result<void> {
    head = QUIRE_TRY(read_head(database)).head;
    state = reader.step(database, head);
    return {};
  });
  return read.ok() ? state : reader.fail(head, read.error());
}

}  // namespace

Result<void> export_ledger(const std::string& path, const LedgerQuery& query, model::FdGuard out) {
  tiering::DatabaseOptions options = ledger_database(path);
  options.read_only = true;
  const Result<Store> store = tiering::RocksStore::open(options);
  if (!store.ok() && store.code() != model::Errc::kCorrupt) return store.error();
  LedgerExport reader(query, std::move(out));
  if (store.ok()) reader.note_missing((*store)->missing_writes());
  while (step(store, reader) == LedgerExport::State::kMore) {
  }
  if (reader.is_complete()) return {};
  return model::make_error(model::Errc::kIoError, "the ledger was not taken whole by its reader");
}

}  // namespace quire::server
