#include "tiering/disk/ssd_rebuild.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "cache/tree/layout_table.h"
#include "cache/tree/prefix_tree.h"
#include "model/boundary.h"
#include "model/fd_guard.h"
#include "model/limits.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/manifest_records.h"
#include "tiering/disk/ssd_rebuild_scan.h"
#include "tiering/database/database_count.h"
#include "tiering/io/durable_file.h"

namespace quire::tiering {

using cache::KnownLayout;
using cache::NodeKind;
using model::Errc;
using model::Hash256;
using model::make_error;
using model::Result;

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFresh = "manifest.new";
constexpr std::string_view kCurrent = "manifest";
constexpr std::string_view kOld = "manifest.old";

// By domain and epoch_name().
using Epochs = std::map<std::pair<std::string, std::string>, uint64_t>;

bool is_span(const FoundObject& object) {
  return static_cast<NodeKind>(object.kind) == NodeKind::kSpan;
}

// Of what was found, what a restart can serve, in runs.
class Chooser {
 public:
  Chooser(const SsdDirectory& directory, FoundHeaders found, Epochs epochs)
      : directory_(directory), found_(std::move(found)), epochs_(std::move(epochs)) {}

  void choose() {
    find_layouts();
    find_epochs();
    std::erase_if(found_.objects, [&](const FoundObject& object) { return !is_usable(object); });
    keep_latest();
    drop_orphans();
    group();
  }

  const std::vector<RootRecord>& roots() const { return found_.roots; }
  const Epochs& epochs() const { return epochs_; }
  const std::vector<RunRecord>& runs() const { return runs_; }
  bool is_needed(const RootRecord& root) const { return needed_roots_[root.id - 1]; }

  RebuildReport report() const {
    RebuildReport report = report_;
    report.files = found_.files;
    report.regions = found_.regions;
    report.headers = found_.headers;
    report.damaged = found_.damaged;
    report.foreign = found_.foreign;
    report.misplaced = found_.misplaced;
    report.left_over = found_.left_over;
    report.unreadable_bytes = found_.unreadable_bytes;
    report.runs = runs_.size();
    report.roots =
        static_cast<uint64_t>(std::count(needed_roots_.begin(), needed_roots_.end(), true));
    return report;
  }

 private:
  void find_layouts() {
    std::unordered_map<Hash256, const KnownLayout*, HashOfHash256> known;
    for (const RootRecord& root : found_.roots) {
      const auto [at, added] = known.try_emplace(root.layout_digest, nullptr);
      if (added) at->second = load_layout(root.layout_digest);
      layouts_.push_back(at->second);
    }
  }

  const KnownLayout* load_layout(const Hash256& digest) {
    Result<model::Layout> layout = directory_.load_layout(digest);
    if (!layout.ok()) return nullptr;
    const auto id = layout_table_.add(std::move(layout).value());
    return id.ok() ? layout_table_.find(*id) : nullptr;
  }

  void find_epochs() {
    for (const RootRecord& root : found_.roots) {
      const auto [own, added] = epochs_.try_emplace(epoch_of(root), 0);
      // Of an earlier version: without a tenant, for all that have none of their own.
      const auto common = epochs_.find({root.domain, root.namespace_name});
      if (added && common != epochs_.end()) own->second = common->second;
      own->second = std::max(own->second, root.weights_epoch);
    }
  }

  static std::pair<std::string, std::string> epoch_of(const RootRecord& root) {
    return {root.domain, epoch_name(root.namespace_name, root.tenant)};
  }

  bool is_usable(const FoundObject& object) {
    const RootRecord& root = found_.roots[object.root];
    const KnownLayout* layout = layouts_[object.root];
    uint64_t* why = nullptr;
    if (root.weights_epoch < epochs_.at(epoch_of(root))) {
      why = &report_.stale;
    } else if (layout == nullptr) {
      why = &report_.without_layout;
    } else if (!fits(object, *layout)) {
      why = &report_.misfits;
    }
    if (why != nullptr) ++*why;
    return why == nullptr;
  }

  // As a restart asks of a manifest's run.
  static bool fits(const FoundObject& object, const KnownLayout& layout) {
    const uint32_t step = layout.units_per_block;
    const model::FillKind kind = cache::fill_kind(static_cast<NodeKind>(object.kind));
    if (object.units >= model::kMaxUnits || !model::is_object_end(kind, object.units, step)) {
      return false;
    }
    const bool in_place = (is_span(object) || layout.needs_checkpoint) &&
                          model::parent_units(kind, object.units, step) == object.parent_units;
    const uint64_t plain = slot_bytes(layout.plan(kind, object.units));
    return in_place && (object.encoded ? object.slot_bytes < plain : object.slot_bytes == plain);
  }

  void keep_latest() {
    std::vector<FoundObject>& objects = found_.objects;
    const auto order = [](const FoundObject& a, const FoundObject& b) {
      return std::tie(a.root, a.kind, a.key.bytes, b.generation) <
             std::tie(b.root, b.kind, b.key.bytes, a.generation);
    };
    std::sort(objects.begin(), objects.end(), order);
    const auto same = [](const FoundObject& a, const FoundObject& b) {
      return a.root == b.root && a.kind == b.kind && a.key == b.key;
    };
    const auto end = std::unique(objects.begin(), objects.end(), same);
    report_.older_copies = static_cast<uint64_t>(objects.end() - end);
    objects.erase(end, objects.end());
  }

  // Parents before children, so one pass finds every object whose chain is whole.
  void drop_orphans() {
    std::vector<FoundObject>& objects = found_.objects;
    std::sort(objects.begin(), objects.end(), [](const FoundObject& a, const FoundObject& b) {
      return std::tie(a.root, a.units, a.kind) < std::tie(b.root, b.units, b.kind);
    });
    std::unordered_map<Hash256, uint32_t, HashOfHash256> spans;  // units, of the present root
    uint32_t root = 0;
    const auto is_orphan = [&](const FoundObject& object) {
      if (object.root != root) spans.clear();
      root = object.root;
      if (object.parent_units == 0) {
        if (!(object.parent_key == found_.roots[root].hash)) return true;
      } else {
        const auto parent = spans.find(object.parent_key);
        if (parent == spans.end() || parent->second != object.parent_units) return true;
      }
      if (is_span(object)) spans.emplace(object.key, object.units);
      return false;
    };
    std::vector<FoundObject> kept;
    for (const FoundObject& object : objects) {
      if (is_orphan(object)) {
        ++report_.orphans;
      } else {
        kept.push_back(object);
      }
    }
    objects.swap(kept);
  }

  void group() {
    std::vector<FoundObject>& objects = found_.objects;
    std::sort(objects.begin(), objects.end(), [](const FoundObject& a, const FoundObject& b) {
      return a.slot.value < b.slot.value;
    });
    needed_roots_.resize(found_.roots.size());
    const FoundObject* last = nullptr;
    for (const FoundObject& object : objects) {
      ++(is_span(object) ? report_.spans : report_.checkpoints);
      needed_roots_[object.root] = true;
      if (last == nullptr || !continues(*last, object)) start_run(object);
      runs_.back().keys.push_back(object.key);
      last = &object;
    }
  }

  bool continues(const FoundObject& last, const FoundObject& next) const {
    return is_span(last) && is_span(next) && last.root == next.root &&
           last.slot.region() == next.slot.region() && last.slot.value + 1 == next.slot.value &&
           last.generation + 1 == next.generation && next.parent_key == last.key &&
           next.parent_units == last.units && next.encoded == last.encoded &&
           runs_.back().keys.size() < kMaxRunObjects;
  }

  void start_run(const FoundObject& object) {
    RunRecord& run = runs_.emplace_back();
    run.key = {.root = found_.roots[object.root].id,
               .units = object.units,
               .kind = object.kind,
               .slot = object.slot};
    run.generation = object.generation;
    run.unit_step = layouts_[object.root]->units_per_block;
    run.parent_units = object.parent_units;
    run.owner_tag = object.owner_tag;
    run.kept = object.kept;
    run.parent_key = object.parent_key;
    run.slot_bytes = object.encoded ? object.slot_bytes : 0;
    run.more = object.more;
  }

  const SsdDirectory& directory_;
  FoundHeaders found_;
  Epochs epochs_;
  cache::LayoutTable layout_table_;
  std::vector<const KnownLayout*> layouts_;  // by index of the root; null: not in the directory
  std::vector<RunRecord> runs_;
  std::vector<bool> needed_roots_;
  RebuildReport report_;
};

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

Result<void> write_manifest(const std::string& path, rocksdb::Env* env, const Chooser& chosen) {
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

// The names of manifests in a directory, and how one takes the place of another.
class ManifestNames {
 public:
  static Result<ManifestNames> open(const std::string& path) {
    ManifestNames names(path);
    names.directory_ = model::FdGuard(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!names.directory_.valid()) return file_error("open " + path);
    return names;
  }
  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }
  bool exists(std::string_view name) const {
    return ::faccessat(directory_.get(), std::string(name).c_str(), F_OK, 0) == 0;
  }
  // The count that lies beside it too.
  Result<void> remove(std::string_view name) const {
    std::error_code failure;
    fs::remove(path(count_of(name)), failure);
    if (!failure) fs::remove_all(path(name), failure);
    if (failure) {
      return make_error(Errc::kIoError, "remove " + path(name) + ": " + failure.message());
    }
    return sync_directory(directory_.get());
  }
  // manifest.new becomes manifest.
  Result<void> replace() const {
    const bool replaces = exists(kCurrent);
    if (replaces) QUIRE_TRY(rename(kCurrent, kOld));
    if (const Result<void> renamed = rename(kFresh, kCurrent); !renamed.ok()) {
      if (exists(kCurrent) || (replaces && rename(kOld, kCurrent).ok())) return renamed;
      return make_error(renamed.code(),
                        renamed.error().text + "; there is no manifest now: rebuild again");
    }
    // Cut short before: the new manifest seems to miss something, and another rebuild mends it.
    if (exists(count_of(kFresh))) QUIRE_TRY(rename(count_of(kFresh), count_of(kCurrent)));
    return remove(kOld);
  }

 private:
  explicit ManifestNames(std::string path) : path_(std::move(path)) {}
  static std::string count_of(std::string_view name) {
    return std::string(name) + kDatabaseCountSuffix;
  }
  Result<void> rename(std::string_view from, std::string_view to) const {
    if (::renameat(directory_.get(), std::string(from).c_str(), directory_.get(),
                   std::string(to).c_str()) != 0) {
      return file_error("rename " + path(from));
    }
    return sync_directory(directory_.get());
  }

  std::string path_;
  model::FdGuard directory_;
};

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
  Chooser chooser(*directory, std::move(found), epochs_of(names, options.manifest_env));
  chooser.choose();
  if (options.dry_run) return chooser.report();
  QUIRE_TRY(names.remove(kFresh));
  // What a rebuild that was cut short left; without a manifest it is the only source of epochs.
  if (names.exists(kCurrent)) QUIRE_TRY(names.remove(kOld));
  QUIRE_TRY(write_manifest(names.path(kFresh), options.manifest_env, chooser));
  QUIRE_TRY(names.replace());
  return chooser.report();
}

std::string describe(const RebuildReport& report) {
  const std::pair<const char*, uint64_t> fields[] = {
      {"spans", report.spans},
      {"checkpoints", report.checkpoints},
      {"runs", report.runs},
      {"roots", report.roots},
      {"files", report.files},
      {"regions", report.regions},
      {"headers", report.headers},
      {"damaged", report.damaged},
      {"foreign", report.foreign},
      {"misplaced", report.misplaced},
      {"left_over", report.left_over},
      {"unreadable_bytes", report.unreadable_bytes},
      {"older_copies", report.older_copies},
      {"without_layout", report.without_layout},
      {"misfits", report.misfits},
      {"stale", report.stale},
      {"orphans", report.orphans},
  };
  std::string text;
  for (const auto& [name, value] : fields) text += name + (" " + std::to_string(value)) + "\n";
  return text;
}

}  // namespace quire::tiering
