#include "tiering/disk/manifest.h"

#include "tiering/disk/manifest_scan.h"

namespace quire::tiering {

using model::Result;

namespace {

DatabaseOptions database_options(const ManifestOptions& options) {
  return {.path = options.path,
          .name = "manifest",
          .repair = "run `quirectl rebuild`",
          .thread_name = "quire-manifest",
          .env = options.env,
          .read_only = options.read_only,
          .absent = options.absent,
          .on_done = options.on_done,
          .on_caller = options.on_caller};
}

}  // namespace

Result<std::unique_ptr<Manifest>> Manifest::open(const ManifestOptions& options) {
  auto database = QUIRE_TRY(Database::open(database_options(options)));
  return std::unique_ptr<Manifest>(new Manifest(std::move(database)));
}

Result<ManifestContents> Manifest::read_roots() {
  ManifestContents contents;
  QUIRE_TRY(
      database_->read([&](const DatabaseReader& reader) { return scan_roots(reader, contents); }));
  return contents;
}

Result<uint64_t> Manifest::read_runs(const std::function<bool(const RunRecord&)>& visit) {
  uint64_t rejected = 0;
  QUIRE_TRY(database_->read(
      [&](const DatabaseReader& reader) { return scan_runs(reader, visit, rejected); }));
  return rejected;
}

bool Manifest::submit(ManifestBatch&& batch) {
  batch.changes_.tag = batch.tag;
  return database_->submit(std::move(batch.changes_));
}

std::vector<ManifestDone> Manifest::poll() {
  std::vector<ManifestDone> all;
  for (DatabaseDone& one : database_->poll()) {
    ManifestDone& done = all.emplace_back();
    done.batch.tag = one.batch.tag;
    done.batch.changes_ = std::move(one.batch);
    done.result = std::move(one.result);
  }
  return all;
}

Result<void> Manifest::destroy(const ManifestOptions& options) {
  return Database::destroy(database_options(options));
}

}  // namespace quire::tiering
