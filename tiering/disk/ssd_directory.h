// The data directory of the SSD tier (layout: tiering/disk/ssd_format.h): lock, superblock, layouts
// and the descriptors of data files. Knows nothing of what the files hold. Whatever else than a
// file stands in the place of one is refused by name, and so is a lock file that is somebody
// else's.
//
// The superblock lies there twice, each copy with its checksum. The later good one is believed and
// the other replaced by it at the start; a directory of earlier versions has one.
//
// Opening takes an exclusive open file description lock on DIR/lock, so a second daemon is refused
// for as long as the first lives and a dead one's lock is gone with it (CacheLib#226: two writers
// on one device). Every create and rename is followed by an fsync of its directory, those of data
// files when sync_names() is called. Threads: core only, with calls of microseconds; after open(),
// sync_names(), store_layout() and add_incompatible(), which wait for the device, by any thread
// (they use nothing but descriptors and constants). Data transfers go through IoEngine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "model/layout.h"
#include "model/result.h"
#include "tiering/disk/ssd_format.h"

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
  // reading until reopen_data_file(). kBusy: another daemon took it meanwhile, and it must not even
  // be read any more. kUnsupportedVersion; other errors: it is as before.
  model::Result<void> make_writable();
  // A new descriptor of a data file that is open. Precondition: the old one is in use nowhere.
  model::Result<int> reopen_data_file(uint32_t number);

  const std::string& path() const { return path_; }
  const Superblock& superblock() const { return superblock_; }
  // What was wrong with the copy of the superblock that this start has replaced; empty: nothing.
  const std::string& repaired() const { return repaired_; }
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

  // Opens data file `number`, making it when `create`; kept open until the directory goes. Its name
  // is durable after the next sync_names(); also that of a file which was there, for the one who
  // made it may have been killed before. kNotFound: absent and not to be made. The same descriptor
  // on later calls. In a directory that is read_only(): for reading, and never made.
  model::Result<int> data_file(uint32_t number, bool create);
  // Makes the names of all data files durable. Unlike data, names are synced again after a failure:
  // a file system whose journal could not be written takes no more, so a later success is a true
  // one. kIoError, kResourceExhausted.
  model::Result<void> sync_names() const;
  // The superblock says from now on, durably, that a daemon must know these features; there
  // already: nothing. Errors of replace_file(). By one thread at a time.
  model::Result<void> add_incompatible(uint64_t features) const;
  // What the file system has left for the daemon's user; UINT64_MAX: it does not say.
  uint64_t free_bytes() const;
  // Bytes that data file `number` has now; 0 when absent.
  uint64_t data_file_bytes(uint32_t number) const;
  // Bytes of blocks that it has, which are fewer where it has holes.
  uint64_t data_file_blocks(uint32_t number) const;
  // A file without a name, gone with its descriptor; opened as data files are.
  model::Result<model::FdGuard> nameless_file() const;
  // Numbers of the data files that exist, ascending. kCorrupt: one of them is not a file.
  model::Result<std::vector<uint32_t>> list_data_files() const;

  // Durable when it returns; present and whole already: only its name is synced. Digest = SHA-256
  // of the encoding, otherwise kInvalidArgument.
  model::Result<void> store_layout(const model::Hash256& digest, const model::Layout& layout) const;
  // kNotFound; kCorrupt when its bytes do not hash to its name.
  model::Result<model::Layout> load_layout(const model::Hash256& digest) const;
  std::vector<model::Hash256> list_layouts() const;

 private:
  SsdDirectory() = default;
  model::Result<void> open_directory();
  model::Result<void> take_lock();
  model::Result<void> set_lock(model::FdGuard&& file, short type);
  model::Result<void> write_pid();
  // Without the lock of fcntl(2). kNotFound: there is none; kInvalidArgument: somebody else's.
  model::Result<model::FdGuard> open_lock(int flags) const;
  model::Result<void> refuse_foreign_lock(int lock) const;
  bool on_read_only_file_system() const;
  // A copy of the superblock on disk, checked; kNotFound when there is none.
  model::Result<Superblock> read_superblock(const std::string& name) const;
  model::Result<Superblock> read_better_superblock();
  model::Result<void> write_superblock(const Superblock& block) const;
  model::Result<void> refuse_data_without_superblock() const;
  model::Result<void> start(const SsdDirectoryOptions& options);
  model::Result<void> count_start();
  model::Result<void> probe_direct_io();
  model::Result<void> open_layouts();
  model::Result<model::FdGuard> open_data_file(const std::string& name, bool create) const;

  std::string path_;
  Superblock superblock_;
  std::string repaired_;
  bool has_superblock_ = false;  // before this start
  bool read_only_ = false;
  bool direct_io_ = true;
  model::FdGuard lock_;
  model::FdGuard directory_;
  model::FdGuard layouts_;  // none: read_only() and never made
  std::vector<model::FdGuard> files_;
};

}  // namespace quire::tiering
