// The data directory of the SSD tier (layout: tiering/ssd_format.h): lock, superblock, layouts and
// the descriptors of data files. Knows nothing of what the files hold.
//
// Opening takes an exclusive open file description lock on DIR/lock, so a second daemon is refused
// for as long as the first lives and a dead one's lock is gone with it (CacheLib#226: two writers
// on one device). Every create and rename is followed by an fsync of its directory, those of data
// files when sync_names() is called. Threads: core only, with calls of microseconds; after open(),
// sync_names() and store_layout(), which wait for the device, by any thread (they use nothing but
// descriptors and constants). Data transfers go through IoEngine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "model/layout.h"
#include "model/result.h"
#include "tiering/ssd_format.h"

namespace quire::tiering {

struct SsdDirectoryOptions {
  std::string path;  // made when absent, mode 0700
  // Of a new directory; an existing one keeps its own. region_bytes: a multiple of 1 MiB, 1 MiB..1
  // GiB; a page of any layout fits one region with its header.
  uint64_t region_bytes = 64ull << 20;
  uint64_t regions_per_file = 16;
  bool direct_io =
      true;  // O_DIRECT; refused by the file system (tmpfs): without, and said in status
  bool look_only = false;  // read_only(): changes not one byte, and counts no start
};

class SsdDirectory {
 public:
  // Locks, reads or makes the superblock, and counts this start in it (durable before it returns).
  // kBusy: another daemon holds it (the text names its pid when known). kUnsupportedVersion: a
  // later format or an unknown incompatible feature; nothing was changed. kCorrupt: a superblock
  // that cannot be trusted, or data without one. kNotFound: look_only, and there is none.
  // kInvalidArgument: the path is that of a file. kIoError, kResourceExhausted (ENOSPC).
  static model::Result<std::unique_ptr<SsdDirectory>> open(const SsdDirectoryOptions& options);

  // Files that a tier of this capacity may have open at once, its probe's among them.
  static uint32_t max_open_files(const SsdDirectoryOptions& options, uint64_t capacity_bytes);

  // Of one that was opened with look_only: counts this start after all, and may be written to from
  // now on. Nothing is done when it may be already. Blocks; data files that are open stay open for
  // reading until reopen_data_file(). kBusy: another daemon took it meanwhile, and it must not even
  // be read any more. kUnsupportedVersion; other errors: it is as before.
  model::Result<void> make_writable();
  // A new descriptor of a data file that is open. Precondition: the old one is in use nowhere.
  model::Result<int> reopen_data_file(uint32_t number);

  const std::string& path() const { return path_; }
  const Superblock& superblock() const { return superblock_; }
  // look_only, or an unknown read-only-compatible feature bit is set: nothing may be written.
  bool read_only() const { return read_only_; }
  bool has_unknown_features() const;
  bool direct_io() const { return direct_io_; }  // as really opened
  std::string manifest_path() const { return path_ + "/manifest"; }

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
  // Bytes that data file `number` has now; 0 when absent.
  uint64_t data_file_bytes(uint32_t number) const;
  // Bytes of blocks that it has, which are fewer where it has holes.
  uint64_t data_file_blocks(uint32_t number) const;
  // Numbers of the data files that exist, ascending.
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
  // The superblock on disk, checked; kNotFound when there is none.
  model::Result<Superblock> read_superblock() const;
  model::Result<void> refuse_data_without_superblock() const;
  model::Result<void> start(const SsdDirectoryOptions& options);
  model::Result<void> count_start();
  model::Result<void> probe_direct_io();
  model::Result<void> open_layouts();
  model::Result<model::FdGuard> open_data_file(const std::string& name, bool create) const;

  std::string path_;
  Superblock superblock_;
  bool read_only_ = false;
  bool direct_io_ = true;
  model::FdGuard lock_;
  model::FdGuard directory_;
  model::FdGuard layouts_;  // none: read_only() and never made
  std::vector<model::FdGuard> files_;
};

}  // namespace quire::tiering
