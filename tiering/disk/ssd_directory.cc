#include "tiering/disk/ssd_directory.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "tiering/io/durable_file.h"

namespace quire::tiering {

using model::Errc;
using model::FdGuard;
using model::make_error;
using model::Result;

namespace {

Result<Superblock> make_superblock(const SsdDirectoryOptions& options) {
  Superblock block;
  block.region_bytes = options.region_bytes;
  block.regions_per_file = options.regions_per_file;
  if (::getrandom(block.instance.data(), block.instance.size(), 0) !=
      static_cast<ssize_t>(block.instance.size())) {
    return model::errno_error("getrandom");
  }
  return block;
}

}  // namespace

Result<std::unique_ptr<SsdDirectory>> SsdDirectory::open(const SsdDirectoryOptions& options) {
  if (options.path.empty()) return make_error(Errc::kInvalidArgument, "--ssd_path is empty");
  if (!valid_geometry(options.region_bytes, options.regions_per_file)) {
    return make_error(Errc::kInvalidArgument,
                      "region_bytes is a multiple of 1 MiB from 1 MiB to 1 GiB, and "
                      "regions_per_file from 1 to " +
                          std::to_string(kMaxRegions));
  }
  std::unique_ptr<SsdDirectory> directory(new SsdDirectory());
  directory->path_ = options.path;
  directory->wants_direct_io_ = options.direct_io;
  directory->read_only_ = options.look_only;
  const Result<void> opened = directory->open_directory(!options.look_only);
  if (opened.code() == Errc::kNotFound && options.make_later) {
    QUIRE_TRY(directory->plan(options));
    return directory;
  }
  QUIRE_TRY(opened);
  directory->superblocks_ = Superblocks(directory->directory_.get(), options.path);
  // Before the lock file is made: a directory of a later format is left as it is, to the byte.
  const Result<Superblock> seen = directory->superblocks_.read();
  if (seen.code() == Errc::kUnsupportedVersion) return seen.error();
  directory->has_superblock_ = seen.code() != Errc::kNotFound;
  if (!directory->has_superblock_) QUIRE_TRY(directory->refuse_data_without_superblock());
  const LockPlace place = directory->lock_place();
  QUIRE_TRY(options.look_only ? directory->lock_.take_to_look(place)
                              : directory->lock_.take(place));
  QUIRE_TRY(directory->start(options));
  return directory;
}

Result<SsdGeometry> SsdDirectory::look(const SsdDirectoryOptions& options) {
  SsdGeometry geometry{.region_bytes = options.region_bytes,
                       .regions_per_file = options.regions_per_file};
  const FdGuard directory(::open(options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return geometry;  // open() makes it, or says what is wrong
  const Result<Superblock> seen = Superblocks(directory.get(), options.path).read();
  if (seen.code() == Errc::kNotFound) return geometry;
  if (!seen.ok()) return seen.error();
  geometry.region_bytes = seen->region_bytes;
  geometry.regions_per_file = seen->regions_per_file;
  const DataFiles files({.directory = directory.get(), .path = options.path});
  const std::vector<uint32_t> numbers = QUIRE_TRY(files.list());
  if (!numbers.empty()) geometry.file_count = numbers.back() + 1;
  return geometry;
}

// What it would be if it were there.
Result<void> SsdDirectory::plan(const SsdDirectoryOptions& options) {
  unmade_ = true;
  superblock_ = QUIRE_TRY(make_superblock(options));
  direct_io_ = false;
  data_files_ = DataFiles({.directory = directory_.get(), .path = path_});
  return {};
}

Result<void> SsdDirectory::open_directory(bool make) {
  const bool made = make && ::mkdir(path_.c_str(), S_IRWXU) == 0;
  if (!made && make && errno != EEXIST && errno != ENOTDIR) {
    return file_error("mkdir " + path_ + " (--ssd_path)");
  }
  directory_ = FdGuard(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_.valid() && errno == ENOTDIR) {
    return make_error(Errc::kInvalidArgument,
                      "--ssd_path=" + path_ + " is not a directory, or lies below a file");
  }
  if (!directory_.valid() && errno == ENOENT) {
    return make_error(Errc::kNotFound, "there is no " + path_ + " (--ssd_path)");
  }
  if (!directory_.valid()) return file_error("open " + path_ + " (--ssd_path)");
  if (!made) return {};
  const FdGuard parent(::openat(directory_.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) return file_error("open the parent of " + path_);
  return sync_directory(parent.get());
}

Result<void> SsdDirectory::add_incompatible(uint64_t features) const {
  Superblock block = superblock_;
  if ((block.incompatible & features) == features) return {};
  block.incompatible |= features;
  seal(block);
  return superblocks_.write(block);
}

Result<void> SsdDirectory::refuse_data_without_superblock() const {
  const std::vector<std::string> names = QUIRE_TRY(list_names(directory_.get()));
  for (const std::string& name : names) {
    if (name != "manifest" && !name.starts_with(kDataPrefix)) continue;
    return make_error(Errc::kCorrupt,
                      path_ + " has " + name +
                          " but no superblock; restore it from a copy, or empty the "
                          "directory to start anew");
  }
  return {};
}

// Read again, under the lock: another daemon may have started and ended since open() looked.
Result<void> SsdDirectory::start(const SsdDirectoryOptions& options) {
  Result<Superblock> seen = superblocks_.read();
  if (seen.code() == Errc::kNotFound && options.make_later) return plan(options);
  if (seen.code() == Errc::kNotFound && !read_only_) seen = make_superblock(options);
  superblock_ = QUIRE_TRY(std::move(seen));
  read_only_ = read_only_ || has_unknown_features();
  if (!read_only_) QUIRE_TRY(count_start());
  QUIRE_TRY(layouts_.open(directory_.get(), path_, read_only_));
  direct_io_ = wants_direct_io_ && QUIRE_TRY(finds_direct_io());
  data_files_ = DataFiles({.directory = directory_.get(),
                           .path = path_,
                           .direct_io = direct_io_,
                           .read_only = read_only_});
  return {};
}

bool SsdDirectory::has_unknown_features() const {
  return (superblock_.read_only_compatible & ~kKnownReadOnlyCompatible) != 0;
}

// A lock with a pid is Quire's only beside a superblock, so a new directory gets that first.
Result<void> SsdDirectory::count_start() {
  if (has_superblock_) QUIRE_TRY(lock_.write_pid(path_));
  ++superblock_.start_count;
  seal(superblock_);
  QUIRE_TRY(superblocks_.write(superblock_));
  if (!has_superblock_) QUIRE_TRY(lock_.write_pid(path_));
  return make_directory(directory_.get(), "layouts");
}

Result<void> SsdDirectory::make_folder() {
  if (directory_.valid()) return {};
  QUIRE_TRY(open_directory(true));
  superblocks_ = Superblocks(directory_.get(), path_);
  data_files_ = DataFiles({.directory = directory_.get(), .path = path_});
  return {};
}

// With the instance that was planned: what was built since is part of that. An attempt that was cut
// short left one of the two superblocks with it.
Result<void> SsdDirectory::make() {
  QUIRE_TRY(make_folder());
  has_superblock_ = superblocks_.read().code() != Errc::kNotFound;
  if (!has_superblock_) QUIRE_TRY(refuse_data_without_superblock());
  QUIRE_TRY(lock_.take(lock_place()));
  const Result<Superblock> seen = superblocks_.read();
  if (!seen.ok() && seen.code() != Errc::kNotFound) return seen.error();
  if (seen.ok() && seen->instance != superblock_.instance) {
    return make_error(Errc::kBusy, path_ +
                                       " was made by another daemon meanwhile; start this one "
                                       "anew to use what is there");
  }
  QUIRE_TRY(count_start());
  QUIRE_TRY(layouts_.open(directory_.get(), path_, false));
  direct_io_ = wants_direct_io_ && QUIRE_TRY(finds_direct_io());
  data_files_ = DataFiles(
      {.directory = directory_.get(), .path = path_, .direct_io = direct_io_, .read_only = false});
  unmade_ = read_only_ = false;
  return {};
}

Result<void> SsdDirectory::make_writable() {
  if (!read_only_) return {};
  if (unmade_) return make();
  if (has_unknown_features()) {
    return make_error(Errc::kUnsupportedVersion, path_ + " has features that are not known");
  }
  QUIRE_TRY(lock_.take(lock_place()));
  QUIRE_TRY(count_start());
  QUIRE_TRY(layouts_.open(directory_.get(), path_, false));
  data_files_.allow_writes();
  read_only_ = false;
  return {};
}

Result<void> SsdDirectory::check_manifest() const {
  if (!directory_.valid()) return {};
  if (const auto other = other_than_directory(directory_.get(), "manifest"); !other.empty()) {
    return make_error(Errc::kCorrupt, path_ + "/manifest is not a directory but " +
                                          std::string(other) + ": move it away");
  }
  const FdGuard manifest(
      ::openat(directory_.get(), "manifest", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!manifest.valid() && errno == ENOENT) return {};
  if (!manifest.valid()) return file_error("open " + path_ + "/manifest");
  const std::vector<std::string> names = QUIRE_TRY(list_names(manifest.get()));
  for (const std::string& name : names) {
    const std::string_view other = other_than_file(manifest.get(), name);
    if (other.empty() || other == "a directory") continue;
    return make_error(Errc::kCorrupt, path_ + "/manifest/" + name + " is not a file but " +
                                          std::string(other) + ": move it away");
  }
  return {};
}

// Asked of a superblock, for it lies on the same file system as the data. Who only looks at a
// directory without a lock file reads a few headers, which the page cache serves as well.
Result<bool> SsdDirectory::finds_direct_io() const {
  if (!lock_.has_file()) return false;
  for (const char* name : Superblocks::kNames) {
    if (!other_than_file(directory_.get(), name).empty()) continue;
    const FdGuard probe(::openat(directory_.get(), name,
                                 O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (probe.valid()) return true;
    if (errno == EINVAL) return false;
    if (errno != ENOENT) return file_error("open " + path_ + "/" + name);
  }
  return false;
}

uint64_t SsdDirectory::file_bytes() const {
  return superblock_.region_bytes * superblock_.regions_per_file;
}

uint32_t SsdDirectory::file_of(uint32_t region) const {
  return static_cast<uint32_t>(region / superblock_.regions_per_file);
}

uint64_t SsdDirectory::offset_of(uint32_t region) const {
  return region % superblock_.regions_per_file * superblock_.region_bytes;
}

Result<void> SsdDirectory::sync_names() const {
  if (::fsync(directory_.get()) != 0) return file_error("fsync of " + path_);
  return {};
}

uint64_t SsdDirectory::free_bytes() const {
  struct statvfs room {};
  if (::fstatvfs(directory_.get(), &room) != 0) return UINT64_MAX;
  return uint64_t{room.f_bavail} * room.f_frsize;
}

}  // namespace quire::tiering
