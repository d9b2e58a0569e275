// The data directory of the SSD tier (layout: tiering/disk/ssd_format.h): who may use it, its
// superblock, and the parts that know what lies in it: layouts(), data_files(). Knows nothing of
// what the files hold. Whatever else than a file stands in the place of one is refused by name, and
// so is a lock file that is somebody else's.
//
//   absent --open()--> locked, start counted    (look_only: as it is; make_later: unmade)
//                                ^--make_writable()--/
//
// 1. One daemon at a time (DirectoryLock), and one that only looks is no exception.
// 2. A start that may write is counted in the superblock, durably, before open() returns; the copy
//    that was not believed is replaced by that (Superblocks).
// Every create and rename is followed by an fsync of its directory, those of data files when
// sync_names() is called. Threads: core only, with calls of microseconds; after open(),
// sync_names(), layouts() and add_incompatible(), which wait for the device, by any thread (they
// use nothing but descriptors and constants).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "model/result.h"
#include "tiering/disk/data_files.h"
#include "tiering/disk/directory_lock.h"
#include "tiering/disk/layout_files.h"
#include "tiering/disk/ssd_format.h"
#include "tiering/disk/superblocks.h"

namespace quire::tiering {

struct SsdDirectoryOptions {
  std::string path;  // made when absent, mode 0700
  // Of a new directory; an existing one keeps its own. region_bytes: a multiple of 1 MiB, 1 MiB..1
  // GiB.
  uint64_t region_bytes = 64ull << 20;
  uint64_t regions_per_file = 16;
  bool direct_io =
      true;  // O_DIRECT; refused by the file system (tmpfs): without, and said in status
  bool look_only = false;  // read_only(): changes not one byte, and counts no start
  // With look_only: where there is none it is_unmade(), with the sizes and the instance that
  // make_writable() will give it.
  bool make_later = false;
};

struct SsdGeometry {
  uint64_t region_bytes = 0;
  uint64_t regions_per_file = 0;
  uint32_t file_count = 0;  // a data file with this number or a later one is not there
};

class SsdDirectory {
 public:
  // What a tier in this directory has or would have: sizes of a new one are those of the options.
  // Changes nothing and takes no lock. Errors of open(), for what stands there.
  static model::Result<SsdGeometry> look(const SsdDirectoryOptions& options);
  // Locks, reads or makes the superblock, and counts this start in it (durable before it returns).
  // kBusy: another daemon holds it (the text names its pid when known). kUnsupportedVersion: a
  // later format or an unknown incompatible feature; nothing was changed. kCorrupt: a superblock
  // that cannot be trusted, or data without one. kNotFound: look_only, and there is none.
  // kInvalidArgument: the path is that of a file, or DIR/lock is not Quire's. kIoError,
  // kResourceExhausted (ENOSPC, EMFILE).
  static model::Result<std::unique_ptr<SsdDirectory>> open(const SsdDirectoryOptions& options);

  // Of one that was opened with look_only: counts this start after all, and may be written to from
  // now on. Nothing is done when it may be already. Blocks; data files that are open stay open for
  // reading until DataFiles::reopen(). kBusy: another daemon took it meanwhile, or made it, and it
  // must not even be read any more. kUnsupportedVersion; other errors: it is as before.
  model::Result<void> make_writable();
  // It has no superblock yet, and nothing lies in it.
  bool is_unmade() const { return unmade_; }
  // Of one that is_unmade(): the bare directory, so that its device can be asked for room. There
  // already: nothing.
  model::Result<void> make_folder();

  const std::string& path() const { return path_; }
  const Superblock& superblock() const { return superblock_; }
  // What was wrong with the copy of the superblock that this start has replaced; empty: nothing.
  const std::string& repaired() const { return superblocks_.damage(); }
  // look_only, or an unknown read-only-compatible feature bit is set: nothing may be written.
  bool read_only() const { return read_only_; }
  bool has_unknown_features() const;
  bool direct_io() const { return direct_io_; }  // as really opened
  std::string manifest_path() const { return path_ + "/manifest"; }
  // kCorrupt: the manifest, or what lies in it, is not what RocksDB made: opening a FIFO would hold
  // it for ever.
  model::Result<void> check_manifest() const;

  uint64_t file_bytes() const;
  uint32_t file_of(uint32_t region) const;
  uint64_t offset_of(uint32_t region) const;  // in its file

  DataFiles& data_files() { return data_files_; }
  const DataFiles& data_files() const { return data_files_; }
  const LayoutFiles& layouts() const { return layouts_; }

  // Makes the names of all data files durable. Unlike data, names are synced again after a failure:
  // a file system whose journal could not be written takes no more, so a later success is a true
  // one. kIoError, kResourceExhausted.
  model::Result<void> sync_names() const;
  // The superblock says from now on, durably, that a daemon must know these features; there
  // already: nothing. Errors of replace_file(). By one thread at a time.
  model::Result<void> add_incompatible(uint64_t features) const;
  // What the file system has left for the daemon's user; UINT64_MAX: it does not say.
  uint64_t free_bytes() const;

 private:
  SsdDirectory() = default;
  model::Result<void> open_directory(bool make);
  model::Result<void> plan(const SsdDirectoryOptions& options);
  model::Result<void> make();
  model::Result<void> refuse_data_without_superblock() const;
  model::Result<void> start(const SsdDirectoryOptions& options);
  model::Result<void> count_start();
  model::Result<bool> finds_direct_io() const;
  LockPlace lock_place() const { return {directory_.get(), path_, has_superblock_}; }

  std::string path_;
  Superblock superblock_;
  bool has_superblock_ = false;  // before this start
  bool read_only_ = false;
  bool unmade_ = false;
  bool wants_direct_io_ = true;
  bool direct_io_ = true;
  DirectoryLock lock_;
  model::FdGuard directory_;  // that of all parts
  Superblocks superblocks_;
  LayoutFiles layouts_;
  DataFiles data_files_;
};

}  // namespace quire::tiering
