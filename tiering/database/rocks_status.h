// What RocksDB answers, in our words: its exceptions end here, and its statuses become errors that
// say what an operator can do. For the files of this room that call RocksDB. Threads: any; no
// state.
#pragma once

#include <rocksdb/status.h>

#include <exception>

#include "model/result.h"
#include "tiering/database/database_options.h"

namespace quire::tiering {

// RocksDB does not promise to throw nothing, memory being short for one.
template <typename Call>
rocksdb::Status caught(Call&& call) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return rocksdb::Status::Aborted("exception", exception.what());
  } catch (...) {
    return rocksdb::Status::Aborted("exception", "of an unknown type");
  }
}

// kBusy: another process holds it. kResourceExhausted: no space. kCorrupt: it cannot be trusted.
// kIoError: the device, or descriptors that ran out.
model::Error error_of(const rocksdb::Status& status, const DatabaseOptions& options);

rocksdb::Env* env_of(const DatabaseOptions& options);

}  // namespace quire::tiering
