#include "tiering/database/database_scan.h"

#include <rocksdb/db.h>

#include <utility>

#include "tiering/database/rocks_status.h"

namespace quire::tiering {

using model::Result;
using rocksdb::Slice;

namespace {

// A restart reads the whole of a range once, front to back.
constexpr size_t kReadaheadBytes = 2 << 20;

}  // namespace

// Never moves: the iterator keeps the address of its bound, and that the address of its bytes.
struct DatabaseScan::Pass {
  Pass(rocksdb::DB* database, const DatabaseOptions* its_options, std::string to)
      : options(its_options), end(std::move(to)), upper_bound(end) {
    rocksdb::ReadOptions reading;
    reading.fill_cache = false;
    reading.readahead_size = kReadaheadBytes;
    reading.iterate_upper_bound = &upper_bound;
    iterator.reset(database->NewIterator(reading));
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  Result<void> result() const {
    if (!iterator->status().ok()) return error_of(iterator->status(), *options);
    return {};
  }

  const DatabaseOptions* const options;
  const std::string end;
  const Slice upper_bound;
  std::unique_ptr<rocksdb::Iterator> iterator;
};

DatabaseScan::DatabaseScan(std::unique_ptr<Pass> pass) : pass_(std::move(pass)) {}
DatabaseScan::DatabaseScan(DatabaseScan&&) noexcept = default;
DatabaseScan::~DatabaseScan() = default;

bool DatabaseScan::valid() const { return pass_->iterator->Valid(); }

void DatabaseScan::next() { pass_->iterator->Next(); }

std::string_view DatabaseScan::key() const { return pass_->iterator->key().ToStringView(); }

std::string_view DatabaseScan::value() const { return pass_->iterator->value().ToStringView(); }

Result<void> DatabaseScan::result() const { return pass_->result(); }

DatabaseScan DatabaseReader::scan(std::string from, std::string to) const {
  auto pass = std::make_unique<DatabaseScan::Pass>(database_, options_, std::move(to));
  pass->iterator->Seek(from);
  return DatabaseScan(std::move(pass));
}

DatabaseScan DatabaseReader::scan_prefix(char prefix) const {
  return scan(std::string(1, prefix), std::string(1, static_cast<char>(prefix + 1)));
}

Result<std::optional<std::string>> DatabaseReader::last_key(std::string from,
                                                            std::string to) const {
  DatabaseScan::Pass pass(database_, options_, std::move(to));
  pass.iterator->SeekToLast();  // below the bound
  QUIRE_TRY(pass.result());
  if (!pass.iterator->Valid() || pass.iterator->key().compare(from) < 0) {
    return std::optional<std::string>();
  }
  return std::optional(pass.iterator->key().ToString());
}

}  // namespace quire::tiering
