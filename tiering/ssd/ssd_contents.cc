#include "tiering/ssd/ssd_contents.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

using model::Errc;
using model::make_error;
using model::Result;

namespace {

// One is being filled while the copies of the other make way.
constexpr uint64_t kMinRegions = 2;

// The world's, and it may pass.
bool may_pass(Errc code) { return code == Errc::kIoError || code == Errc::kResourceExhausted; }

// Health judges errnos, and a failed open has only its code left. A file system that is mounted
// read-only heals by no probe of a write, so it is told apart from a device that failed.
int errno_of(const model::Error& error, std::filesystem::path path) {
  if (error.code == Errc::kResourceExhausted) return ENOSPC;
  struct statvfs file_system = {};
  bool known = ::statvfs(path.c_str(), &file_system) == 0;
  // One that is not there would lie on its parent's file system.
  while (!known && errno == ENOENT && path.has_relative_path()) {
    path = path.parent_path();
    known = ::statvfs(path.empty() ? "." : path.c_str(), &file_system) == 0;
  }
  return known && (file_system.f_flag & ST_RDONLY) != 0 ? EROFS : EIO;
}

}  // namespace

Result<std::unique_ptr<SsdContents>> SsdContents::open(const SsdContentsParts& parts,
                                                       const SsdContentsOptions& options) {
  std::unique_ptr<SsdContents> contents(new SsdContents(parts, options));
  QUIRE_TRY(contents->open_parts());
  return contents;
}

Result<void> SsdContents::open_parts() {
  // Before a new directory is made.
  const SsdGeometry geometry = QUIRE_TRY(SsdDirectory::look(options_.directory));
  const auto regions = static_cast<uint32_t>(
      std::min<uint64_t>(options_.capacity_bytes / geometry.region_bytes, kMaxRegions));
  if (regions < kMinRegions) {
    return make_error(Errc::kInvalidArgument, "--ssd_bytes must hold at least two regions of " +
                                                  std::to_string(geometry.region_bytes) +
                                                  " bytes; it is " +
                                                  std::to_string(options_.capacity_bytes));
  }
  QUIRE_TRY(open_directory());
  QUIRE_TRY(open_manifest());
  space_ = std::make_unique<SsdSpace>(directory_->superblock().region_bytes, regions);
  files_ = std::make_unique<SsdFiles>(directory_.get(), space_.get(), parts_.engine);
  return {};
}

// Keeps what must not be written to from being so: until a probe finds that it can be.
void SsdContents::wait_for_writes(model::Error&& why) {
  parts_.health->write_failed(errno_of(why, options_.directory.path), why.text,
                              parts_.clock->now_ns());
  not_writable_ = std::move(why);
}

Result<void> SsdContents::open_directory() {
  auto opened = SsdDirectory::open(options_.directory);
  if (!opened.ok() && may_pass(opened.code())) {
    SsdDirectoryOptions options = options_.directory;
    options.look_only = options.make_later = true;
    auto seen = SsdDirectory::open(options);
    // Where it cannot be read either, the first error is the one that an operator can act on.
    if (seen.ok()) {
      wait_for_writes(std::move(opened).error());
      opened = std::move(seen);
    }
  }
  directory_ = QUIRE_TRY(std::move(opened));
  if (directory_->has_unknown_features()) {
    parts_.health->pin_state(TierMode::kReadOnly,
                             "the directory has features this version may not write",
                             "run the version that wrote it, or start with another --ssd_path");
  }
  return {};
}

Result<void> SsdContents::open_manifest() {
  const auto data_files = QUIRE_TRY(directory_->data_files().list());
  std::error_code ignored;
  const bool absent = !std::filesystem::exists(directory_->manifest_path() + "/CURRENT", ignored);
  // RocksDB would make a new one; a manifest is there before the first data file is.
  if (absent && !data_files.empty()) {
    return make_error(Errc::kCorrupt,
                      directory_->path() + " has data but no manifest; run `quirectl rebuild`");
  }
  QUIRE_TRY(directory_->check_manifest());
  ManifestOptions options{.path = directory_->manifest_path(),
                          .env = options_.manifest_env,
                          .read_only = directory_->read_only(),
                          .absent = absent && directory_->read_only(),
                          .on_done = options_.on_wake,
                          .on_caller = options_.manifest_on_caller};
  auto opened = Manifest::open(options);
  if (!opened.ok() && may_pass(opened.code()) && !options.read_only) {
    options.read_only = true;
    options.absent = absent;  // as it was: what it made since holds nothing
    auto seen = Manifest::open(options);
    if (seen.ok()) {
      wait_for_writes(std::move(opened).error());
      opened = std::move(seen);
    }
  }
  manifest_ = QUIRE_TRY(std::move(opened));
  return {};
}

// What was restored before the error has copies on a tier that there will not be.
void SsdContents::forget_restored() {
  cache::ObjectStore& store = parts_.cache->store();
  store.offer_restored();
  while (parts_.cache->evictor().evict_copy(model::TierId::kSsd, {})) {
  }
  // Nobody erases them: the directory stays as it is, for a rebuild or another start.
  store.given_up().clear();
}

Result<void> SsdContents::restore() {
  auto restored = restore_from_manifest({.cache = parts_.cache,
                                         .manifest = manifest_.get(),
                                         .directory = directory_.get(),
                                         .space = space_.get(),
                                         .roots = &roots_,
                                         .kept = &kept_});
  if (!restored.ok()) {
    forget_restored();
    return std::move(restored).error();
  }
  restored_ = std::move(restored).value();
  judge_restored();
  measure_blocks();
  // judge_restored() may have found that an operator decides first.
  if (directory_->read_only() || not_writable_ || !parts_.health->may_write()) return {};
  // Slots that the manifest still names must not be written to.
  if (auto cleaned = clean_manifest(); !cleaned.ok()) {
    wait_for_writes(std::move(cleaned).error());
  }
  return {};
}

// What must not be written over before an operator has decided.
void SsdContents::judge_restored() {
  const std::string rebuild =
      "stop, run `quirectl rebuild --ssd_path=" + directory_->path() + "`, then start";
  if (const uint64_t missing = manifest_->missing_writes(); missing > 0) {
    parts_.health->pin_state(TierMode::kReadOnly,
                             "the manifest lacks " + std::to_string(missing) +
                                 " changes that were durable once: its log was cut or emptied",
                             rebuild);
  } else if (restored_.rejected > 0) {
    parts_.health->pin_state(
        TierMode::kReadOnly,
        std::to_string(restored_.rejected) + " records of the manifest do not parse", rebuild);
  } else if (space_->is_over_capacity() && !options_.evict_to_capacity) {
    parts_.health->pin_state(
        TierMode::kReadOnly,
        std::to_string(space_->live_regions() * space_->region_bytes()) +
            " bytes of regions are in use, --ssd_bytes allows " +
            std::to_string(space_->usage().capacity_bytes),
        "start with a larger --ssd_bytes, or with --ssd_shrink=evict to drop the least useful");
  }
}

// Blocks that regions had which are in use no more are given back when they are beyond the
// capacity.
void SsdContents::measure_blocks() {
  const auto files = directory_->data_files().list();
  if (!files.ok()) return;
  uint64_t allocated = 0;
  for (const uint32_t number : *files) allocated += directory_->data_files().blocks(number);
  if (allocated <= space_->usage().capacity_bytes) return;
  const uint64_t per_file = directory_->superblock().regions_per_file;
  for (const uint32_t number : *files) {
    const uint64_t regions = (directory_->data_files().bytes(number) + space_->region_bytes() - 1) /
                             space_->region_bytes();
    for (uint64_t i = 0; i < std::min(regions, per_file); ++i) {
      const uint64_t region = number * per_file + i;
      if (region < kMaxRegions) space_->stock().note_blocks(static_cast<uint32_t>(region));
    }
  }
}

// One batch at a time, and awaited: no session is there yet, and no write may overtake them. Those
// that were durable before a failure are made so again by the next attempt, which changes nothing.
Result<void> SsdContents::clean_manifest() {
  for (const ManifestBatch& batch : restored_.cleaning) {
    QUIRE_CHECK(manifest_->submit(ManifestBatch(batch)));
    while (manifest_->in_flight() > 0) {
      for (ManifestDone& done : manifest_->poll()) QUIRE_TRY(std::move(done.result));
      std::this_thread::yield();
    }
  }
  restored_.cleaning.clear();
  return {};
}

// The lock first: whoever took the directory meanwhile has changed what was restored.
Result<void> SsdContents::make_writable() {
  if (!not_writable_) return manifest_->failure().empty() ? Result<void>{} : manifest_->resume();
  if (auto locked = directory_->make_writable(); !locked.ok()) {
    if (locked.code() == Errc::kBusy) {
      parts_.health->pin_state(TierMode::kOff, locked.error().text, "stop one of the two");
    }
    return locked;
  }
  QUIRE_TRY(files_->reopen());
  QUIRE_TRY(manifest_->make_writable());
  QUIRE_TRY(clean_manifest());
  not_writable_.reset();
  return {};
}

}  // namespace quire::tiering
