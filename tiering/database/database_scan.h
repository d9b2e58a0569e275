// Reading a database in the order of its keys. A scan holds what RocksDB lends it, and ends before
// the database does. Threads: that of Database::read(), whose work it is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/result.h"
#include "tiering/database/database_options.h"

namespace rocksdb {
class DB;
}

namespace quire::tiering {

// One pass over the keys of a range, ascending. What it gives out is lent until next().
class DatabaseScan {
 public:
  DatabaseScan(DatabaseScan&&) noexcept;
  ~DatabaseScan();
  bool valid() const;
  void next();
  std::string_view key() const;
  std::string_view value() const;
  // Whether it ended at the end of the range. kIoError, kCorrupt.
  model::Result<void> result() const;

  // Of a reader.
  struct Pass;
  explicit DatabaseScan(std::unique_ptr<Pass> pass);

 private:
  std::unique_ptr<Pass> pass_;
};

// What Database::read() lends. Ranges are [from, to).
class DatabaseReader {
 public:
  DatabaseReader(rocksdb::DB* database, const DatabaseOptions* options)
      : database_(database), options_(options) {}
  DatabaseScan scan(std::string from, std::string to) const;
  DatabaseScan scan_prefix(char prefix) const;
  // Where an append-only range goes on; nothing when the range is empty.
  model::Result<std::optional<std::string>> last_key(std::string from, std::string to) const;

 private:
  rocksdb::DB* database_;
  const DatabaseOptions* options_;
};

}  // namespace quire::tiering
