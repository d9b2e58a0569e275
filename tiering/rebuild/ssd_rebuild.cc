#include "tiering/rebuild/ssd_rebuild.h"

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "tiering/disk/manifest.h"
#include "tiering/disk/manifest_names.h"
#include "tiering/disk/manifest_records.h"
#include "tiering/rebuild/rebuild_choice.h"
#include "tiering/rebuild/ssd_rebuild_scan.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

constexpr std::string_view kFresh = ManifestNames::kFresh;
constexpr std::string_view kCurrent = ManifestNames::kCurrent;
constexpr std::string_view kOld = ManifestNames::kOld;

// Writes batches one after the other, each durable before the next.
class BatchWriter {
 public:
  static Result<std::unique_ptr<BatchWriter>> open(const std::string& path, rocksdb::Env* env) {
    std::unique_ptr<BatchWriter> writer(new BatchWriter());
    writer->manifest_ =
        QUIRE_TRY(Manifest::open({.path = path, .env = env, .on_done = [&counter = writer->done_] {
                                    counter.fetch_add(1);
                                    counter.notify_one();
                                  }}));
    return writer;
  }
  ManifestBatch& batch() { return batch_; }
  Result<void> write_when_full() {
    if (batch_.size() < kChangesInABatch) return {};
    return write();
  }
  Result<void> write() {
    if (batch_.empty()) return {};
    const uint32_t seen = done_.load();
    if (!manifest_->submit(std::exchange(batch_, {}))) {
      return make_error(Errc::kInternal, "the manifest takes no batch");
    }
    done_.wait(seen);
    // The writer tells of a batch after it left its result.
    for (ManifestDone& done : manifest_->poll()) QUIRE_TRY(std::move(done.result));
    return {};
  }

 private:
  BatchWriter() = default;
  std::atomic<uint32_t> done_{0};  // the manifest's thread counts up and wakes; we wait
  ManifestBatch batch_;
  std::unique_ptr<Manifest> manifest_;  // its thread ends before the count goes
};

Result<void> write_manifest(const std::string& path, rocksdb::Env* env,
                            const RebuildChoice& chosen) {
  const auto writer = QUIRE_TRY(BatchWriter::open(path, env));
  for (const auto& [name, epoch] : chosen.epochs()) {
    writer->batch().put_epoch(name.first, name.second, epoch);
    QUIRE_TRY(writer->write_when_full());
  }
  for (const RootRecord& root : chosen.roots()) {
    if (!chosen.is_needed(root)) continue;
    writer->batch().put_root(root);
    QUIRE_TRY(writer->write_when_full());
  }
  for (const RunRecord& run : chosen.runs()) {
    writer->batch().put_run(run);
    QUIRE_TRY(writer->write_when_full());
  }
  return writer->write();
}

// An epoch that no extent was written in yet is known to the old manifest alone.
Epochs epochs_of(const ManifestNames& names, rocksdb::Env* env) {
  const std::string_view name = names.exists(kCurrent) ? kCurrent : kOld;
  Epochs epochs;
  if (!names.exists(name)) return epochs;
  const auto manifest = Manifest::open({.path = names.path(name), .env = env, .read_only = true});
  if (!manifest.ok()) return epochs;
  const auto contents = (*manifest)->read_roots();
  if (!contents.ok()) return epochs;
  for (const auto& [key, epoch] : contents->epochs) epochs[key] = epoch;
  return epochs;
}

Result<std::unique_ptr<SsdDirectory>> open_directory(const RebuildOptions& options) {
  // A path that is mistyped must not become a tier.
  const auto has = [&](const char* name) {
    return ::access((options.directory.path + "/" + name).c_str(), F_OK) == 0;
  };
  if (!has("superblock") && !has("superblock.2")) {
    return make_error(Errc::kNotFound, "no SSD tier in \"" + options.directory.path +
                                           "\" (--ssd_path): there is no superblock");
  }
  SsdDirectoryOptions opened = options.directory;
  opened.look_only = options.dry_run;
  std::unique_ptr<SsdDirectory> directory = QUIRE_TRY(SsdDirectory::open(opened));
  if (directory->read_only() && !options.dry_run) {
    return make_error(Errc::kUnsupportedVersion,
                      directory->path() +
                          " has features that this version may not write; use the "
                          "version that wrote it");
  }
  return directory;
}

}  // namespace

Result<RebuildReport> rebuild_manifest(const RebuildOptions& options) {
  const std::unique_ptr<SsdDirectory> directory = QUIRE_TRY(open_directory(options));
  const ManifestNames names = QUIRE_TRY(ManifestNames::open(directory->path()));
  FoundHeaders found = QUIRE_TRY(RebuildScan::run(*directory));
  RebuildChoice choice(*directory, std::move(found), epochs_of(names, options.manifest_env));
  choice.choose();
  if (options.dry_run) return choice.report();
  QUIRE_TRY(names.remove(kFresh));
  // What a rebuild that was cut short left; without a manifest it is the only source of epochs.
  if (names.exists(kCurrent)) QUIRE_TRY(names.remove(kOld));
  // Before they are named: what a crash left may hold features that no batch has said.
  uint64_t features = 0;
  for (const RunRecord& run : choice.runs()) features |= features_of(run);
  QUIRE_TRY(directory->add_incompatible(features));
  QUIRE_TRY(write_manifest(names.path(kFresh), options.manifest_env, choice));
  QUIRE_TRY(names.replace());
  return choice.report();
}

}  // namespace quire::tiering
