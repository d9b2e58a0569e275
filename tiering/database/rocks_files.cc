#include "tiering/database/rocks_files.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>

#include <string>
#include <vector>

#include "tiering/database/database_count.h"
#include "tiering/database/rocks_status.h"

namespace quire::tiering {

using model::Errc;
using model::Error;
using model::make_error;
using model::Result;
using rocksdb::Status;

namespace {

rocksdb::Options settings_of(const DatabaseOptions& options) {
  rocksdb::Options result;
  result.env = env_of(options);
  result.create_if_missing = !options.read_only;
  // Trust nothing on the device.
  result.paranoid_checks = true;
  result.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  result.track_and_verify_wals_in_manifest = true;
  result.verify_sst_unique_id_in_manifest = true;
  result.max_bgerror_resume_count = 0;
  // Tens of megabytes, written in small batches, read whole at start: no cache, no filters, and
  // hashes do not compress.
  result.write_buffer_size = 8 << 20;
  result.max_open_files = 64;
  result.max_file_opening_threads = 1;
  result.max_background_jobs = 2;
  result.compression = rocksdb::kNoCompression;
  result.max_manifest_file_size = 4 << 20;
  result.manifest_preallocation_size = 64 << 10;
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.block_size = 32 << 10;
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // A small log of warnings; no thread that dumps statistics.
  result.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  result.keep_log_file_num = 2;
  result.max_log_file_size = 1 << 20;
  result.stats_dump_period_sec = 0;
  result.stats_persist_period_sec = 0;
  return result;
}

// RocksDB takes a directory without CURRENT for a new one, and deletes what lies there. Before
// CURRENT is durable it writes neither tables nor logs.
Status check_current(const DatabaseOptions& options) {
  rocksdb::Env* env = env_of(options);
  Status status = env->FileExists(options.path + "/CURRENT");
  if (!status.IsNotFound()) return status;
  std::vector<std::string> names;
  status = env->GetChildren(options.path, &names);
  if (!status.ok() && !status.IsNotFound() && !status.IsPathNotFound()) return status;
  for (const std::string& name : names) {
    if (name.ends_with(".sst") || name.ends_with(".log")) {
      return Status::Corruption("there is " + name + " but no CURRENT");
    }
  }
  return options.read_only ? Status::NotFound("no " + options.name) : Status::OK();
}

// RocksDB syncs names in its directory, not its directory's name.
Status make_durable_directory(rocksdb::Env* env, const std::string& path) {
  const Status status = env->CreateDirIfMissing(path);
  return status.ok() ? sync_parent(env, path) : status;
}

}  // namespace

Result<std::unique_ptr<rocksdb::DB>> open_rocksdb(
    const DatabaseOptions& options, const std::shared_ptr<rocksdb::EventListener>& listener) {
  rocksdb::DB* database = nullptr;
  const Status status = caught([&] {
    rocksdb::Options settings = settings_of(options);
    settings.listeners = {listener};
    Status step = check_current(options);
    if (!step.ok()) return step;
    if (options.read_only) {
      return rocksdb::DB::OpenForReadOnly(settings, options.path, &database);
    }
    step = make_durable_directory(settings.env, options.path);
    if (!step.ok()) return step;
    return rocksdb::DB::Open(settings, options.path, &database);
  });
  if (status.ok()) return std::unique_ptr<rocksdb::DB>(database);
  Error error = error_of(status, options);
  if (options.read_only && status.IsNotFound() && !status.IsPathNotFound()) {
    error = make_error(Errc::kNotFound, "no " + options.name + " in " + options.path);
  }
  return error;
}

Status destroy_rocksdb(const DatabaseOptions& options) {
  rocksdb::Env* env = env_of(options);
  if (env->FileExists(options.path).IsNotFound()) return Status::OK();
  rocksdb::FileLock* lock = nullptr;
  Status status = env->LockFile(options.path + "/LOCK", &lock);
  if (!status.ok()) return status;
  status = env->DeleteFile(options.path + "/CURRENT");
  if (status.IsNotFound() || status.IsPathNotFound()) status = Status::OK();
  std::unique_ptr<rocksdb::Directory> directory;
  if (status.ok()) status = env->NewDirectory(options.path, &directory);
  if (status.ok()) status = directory->Fsync();
  const Status unlocked = env->UnlockFile(lock);
  if (status.ok()) status = unlocked;
  return status.ok() ? rocksdb::DestroyDB(options.path, settings_of(options)) : status;
}

}  // namespace quire::tiering
