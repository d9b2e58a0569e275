// The directory of a database: how it is opened, so that nothing on the device is trusted, and how
// it is destroyed, so that a destruction that was cut short does not pass for an empty database.
//
// Settings (reliability: on-disk rules): paranoid_checks, kPointInTimeRecovery,
// track_and_verify_wals_in_manifest, protection_bytes_per_key 8 (of each write).
// Threads: any one at a time; no state.
#pragma once

#include <memory>

#include "model/result.h"
#include "tiering/database/database_options.h"

namespace rocksdb {
class DB;
class EventListener;
class Status;
}  // namespace rocksdb

namespace quire::tiering {

// Errors of Database::open().
model::Result<std::unique_ptr<rocksdb::DB>> open_rocksdb(
    const DatabaseOptions& options, const std::shared_ptr<rocksdb::EventListener>& listener);

// Without CURRENT it is corrupt for every later open, so that goes first, durably. Nothing there:
// nothing is done.
rocksdb::Status destroy_rocksdb(const DatabaseOptions& options);

}  // namespace quire::tiering
