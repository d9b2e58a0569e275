// Apart from the rest of the rig: RocksDB's headers take long to compile.
#include <rocksdb/db.h>

#include <memory>

#include "model/check.h"
#include "tests/ssd/manifest_rig.h"

namespace quire::tests {

void put_raw(const std::string& path, const std::string& key, const std::string& value) {
  rocksdb::DB* opened = nullptr;
  QUIRE_CHECK(rocksdb::DB::Open(rocksdb::Options(), path, &opened).ok());
  const std::unique_ptr<rocksdb::DB> database(opened);
  rocksdb::WriteOptions options;
  options.sync = true;
  QUIRE_CHECK(database->Put(options, key, value).ok());
}

}  // namespace quire::tests
