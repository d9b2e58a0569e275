#include "tiering/disk/ssd_directory.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "model/chain_hash.h"
#include "model/check.h"
#include "tiering/io/durable_file.h"

namespace quire::tiering {

using model::Errc;
using model::FdGuard;
using model::Hash256;
using model::Layout;
using model::make_error;
using model::Result;

namespace {

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kMaxRegionBytes = 1ull << 30;
constexpr std::array<const char*, 2> kSuperblocks = {"superblock", "superblock.2"};
constexpr std::string_view kDataPrefix = "data.";
constexpr size_t kMaxPidLine = 11;  // of ten digits
constexpr size_t kDataDigits = 6;

bool valid_geometry(uint64_t region_bytes, uint64_t regions_per_file) {
  return region_bytes >= kMiB && region_bytes <= kMaxRegionBytes && region_bytes % kMiB == 0 &&
         regions_per_file >= 1 && regions_per_file <= kMaxRegions;
}

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

std::string data_name(uint32_t number) {
  const std::string digits = std::to_string(number);
  return std::string(kDataPrefix) + std::string(kDataDigits - digits.size(), '0') + digits;
}

std::optional<uint32_t> data_number(std::string_view name) {
  if (!name.starts_with(kDataPrefix) || name.size() != kDataPrefix.size() + kDataDigits) return {};
  uint32_t number = 0;
  const auto [end, error] =
      std::from_chars(name.data() + kDataPrefix.size(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return {};
  return number;
}

std::string layout_name(const Hash256& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name;
  for (const uint8_t byte : digest.bytes) {
    name += kDigits[byte >> 4];
    name += kDigits[byte & 15];
  }
  return name;
}

std::optional<Hash256> layout_digest_of(const std::string& name) {
  Hash256 digest;
  if (name.size() != 2 * digest.bytes.size()) return {};
  for (size_t i = 0; i < digest.bytes.size(); ++i) {
    const char* pair = name.data() + 2 * i;
    if (std::from_chars(pair, pair + 2, digest.bytes[i], 16).ptr != pair + 2) return {};
  }
  // Upper case or a sign would name a second file of the same layout.
  if (layout_name(digest) != name) return {};
  return digest;
}

// Who holds the lock, as far as the lock file tells: its pid is written after the lock is taken.
std::string holder_of(int lock) {
  std::array<char, 24> text{};
  const ssize_t bytes = ::pread(lock, text.data(), text.size(), 0);
  int32_t pid = 0;
  if (bytes > 0) std::from_chars(text.data(), text.data() + bytes, pid);
  const bool lives = pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
  return lives ? "pid " + std::to_string(pid) : "another process";
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
  directory->direct_io_ = options.direct_io;
  directory->read_only_ = options.look_only;
  QUIRE_TRY(directory->open_directory());
  // Before the lock file is made: a directory of a later format is left as it is, to the byte.
  const Result<Superblock> seen = directory->read_better_superblock();
  if (seen.code() == Errc::kUnsupportedVersion) return seen.error();
  directory->has_superblock_ = seen.code() != Errc::kNotFound;
  if (!directory->has_superblock_) QUIRE_TRY(directory->refuse_data_without_superblock());
  QUIRE_TRY(directory->take_lock());
  QUIRE_TRY(directory->start(options));
  return directory;
}

Result<SsdGeometry> SsdDirectory::look(const SsdDirectoryOptions& options) {
  SsdGeometry geometry{.region_bytes = options.region_bytes,
                       .regions_per_file = options.regions_per_file};
  SsdDirectory directory;
  directory.path_ = options.path;
  directory.directory_ = FdGuard(::open(options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.directory_.valid()) return geometry;  // open() makes it, or says what is wrong
  const Result<Superblock> seen = directory.read_better_superblock();
  if (seen.code() == Errc::kNotFound) return geometry;
  if (!seen.ok()) return seen.error();
  geometry.region_bytes = seen->region_bytes;
  geometry.regions_per_file = seen->regions_per_file;
  const std::vector<uint32_t> numbers = QUIRE_TRY(directory.list_data_files());
  if (!numbers.empty()) geometry.file_count = numbers.back() + 1;
  return geometry;
}

Result<void> SsdDirectory::open_directory() {
  const bool made = !read_only_ && ::mkdir(path_.c_str(), S_IRWXU) == 0;
  if (!made && !read_only_ && errno != EEXIST && errno != ENOTDIR) {
    return file_error("mkdir " + path_ + " (--ssd_path)");
  }
  directory_ = FdGuard(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_.valid() && errno == ENOTDIR) {
    return make_error(Errc::kInvalidArgument,
                      "--ssd_path=" + path_ + " is not a directory, or lies below a file");
  }
  if (!directory_.valid()) return file_error("open " + path_ + " (--ssd_path)");
  if (!made) return {};
  const FdGuard parent(::openat(directory_.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) return file_error("open the parent of " + path_);
  return sync_directory(parent.get());
}

Result<void> SsdDirectory::take_lock() {
  Result<FdGuard> file = open_lock(O_RDWR | (read_only_ ? 0 : O_CREAT));
  if (file.ok()) return set_lock(std::move(file).value(), F_WRLCK);
  if (read_only_ && file.code() == Errc::kNotFound) return {};  // nobody holds it
  if (!read_only_ || file.code() != Errc::kIoError || !on_read_only_file_system()) {
    return file.error();
  }
  // Keeps those out who would write, should the file system be writable later.
  return set_lock(QUIRE_TRY(open_lock(O_RDONLY)), F_RDLCK);
}

Result<FdGuard> SsdDirectory::open_lock(int flags) const {
  Result<FdGuard> file = open_regular(directory_.get(), "lock", flags);
  if (!file.ok()) return make_error(file.code(), path_ + "/" + file.error().text);
  QUIRE_TRY(refuse_foreign_lock(file->get()));
  return file;
}

bool SsdDirectory::on_read_only_file_system() const {
  struct statvfs file_system {};
  return ::fstatvfs(directory_.get(), &file_system) == 0 && (file_system.f_flag & ST_RDONLY) != 0;
}

// In place of the one held, which would be in the way of itself.
Result<void> SsdDirectory::set_lock(FdGuard&& file, short type) {
  lock_ = std::move(file);
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  if (::fcntl(lock_.get(), F_OFD_SETLK, &range) == 0) return {};
  if (errno != EAGAIN && errno != EACCES) return file_error("lock " + path_ + "/lock");
  return make_error(Errc::kBusy, path_ + " is in use by " + holder_of(lock_.get()) +
                                     "; stop it or choose another --ssd_path");
}

// Ours is empty, or holds a pid; before there is a superblock it is empty.
Result<void> SsdDirectory::refuse_foreign_lock(int lock) const {
  std::array<char, kMaxPidLine + 1> text{};
  const ssize_t bytes = ::pread(lock, text.data(), text.size(), 0);
  if (bytes < 0) return file_error("read " + path_ + "/lock");
  const std::string_view line(text.data(), static_cast<size_t>(bytes));
  const size_t digits = std::min(line.find_first_not_of("0123456789"), line.size());
  const bool pid = digits > 0 && line.size() <= kMaxPidLine && line.substr(digits) == "\n";
  if (line.empty() || (has_superblock_ && pid)) return {};
  return make_error(Errc::kInvalidArgument,
                    path_ +
                        "/lock is not Quire's and was left alone; move it away or choose "
                        "another --ssd_path");
}

// For the error text of others only, so neither synced nor replaced.
Result<void> SsdDirectory::write_pid() {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_.get(), 0) != 0 ||
      ::pwrite(lock_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return file_error("write " + path_ + "/lock");
  }
  return {};
}

Result<Superblock> SsdDirectory::read_superblock(const std::string& file) const {
  const std::string name = path_ + "/" + file;
  auto bytes = read_file(directory_.get(), file, sizeof(Superblock));
  const std::string advice = "; restore it from a copy, or empty " + path_ + " to start anew";
  if (!bytes.ok()) {
    const bool corrupt = bytes.code() == Errc::kCorrupt;
    return make_error(bytes.code(), path_ + "/" + bytes.error().text + (corrupt ? advice : ""));
  }
  if (bytes->size() != sizeof(Superblock)) {
    return make_error(Errc::kCorrupt, name + " is not one block" + advice);
  }
  Superblock block;
  std::memcpy(static_cast<void*>(&block), bytes->data(), sizeof(block));
  if (const Result<void> checked = check(block); !checked.ok()) {
    const bool corrupt = checked.code() == Errc::kCorrupt;
    return make_error(checked.code(), name + ": " + checked.error().text +
                                          (corrupt ? advice : "; use a later daemon"));
  }
  if ((block.incompatible & ~kKnownIncompatible) != 0) {
    return make_error(Errc::kUnsupportedVersion,
                      name + ": a feature that this daemon does not know; use a later daemon");
  }
  if (!valid_geometry(block.region_bytes, block.regions_per_file)) {
    return make_error(Errc::kCorrupt, name + ": the sizes of regions are out of range" + advice);
  }
  return block;
}

// The later of the good copies; of two equally late ones, and of two instances, the first.
Result<Superblock> SsdDirectory::read_better_superblock() {
  Result<Superblock> first = read_superblock(kSuperblocks[0]);
  Result<Superblock> second = read_superblock(kSuperblocks[1]);
  if (first.code() == Errc::kUnsupportedVersion) return first;
  if (second.code() == Errc::kUnsupportedVersion) return second;
  if (first.code() == Errc::kResourceExhausted) return first;
  if (!first.ok() && !second.ok()) return first.code() == Errc::kNotFound ? second : first;
  if (first.ok() && second.ok()) {
    const bool later =
        second->instance == first->instance && second->start_count > first->start_count;
    return later ? second : first;
  }
  const Result<Superblock>& bad = first.ok() ? second : first;
  // An earlier version made no second copy, or a kill came before it.
  if (!first.ok() || bad.code() != Errc::kNotFound) repaired_ = bad.error().text;
  return first.ok() ? first : second;
}

// The second first: a kill in between leaves two good copies, one a start behind.
Result<void> SsdDirectory::write_superblock(const Superblock& block) const {
  const auto bytes = std::as_bytes(std::span<const Superblock>(&block, 1));
  QUIRE_TRY(replace_file(directory_.get(), kSuperblocks[1], bytes));
  return replace_file(directory_.get(), kSuperblocks[0], bytes);
}

Result<void> SsdDirectory::add_incompatible(uint64_t features) const {
  Superblock block = superblock_;
  if ((block.incompatible & features) == features) return {};
  block.incompatible |= features;
  seal(block);
  return write_superblock(block);
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

Result<void> SsdDirectory::start(const SsdDirectoryOptions& options) {
  Result<Superblock> seen = read_better_superblock();
  if (seen.code() == Errc::kNotFound && !read_only_) seen = make_superblock(options);
  superblock_ = QUIRE_TRY(std::move(seen));
  read_only_ = read_only_ || has_unknown_features();
  if (!read_only_) QUIRE_TRY(count_start());
  QUIRE_TRY(open_layouts());
  return probe_direct_io();
}

bool SsdDirectory::has_unknown_features() const {
  return (superblock_.read_only_compatible & ~kKnownReadOnlyCompatible) != 0;
}

// A lock with a pid is Quire's only beside a superblock, so a new directory gets that first.
Result<void> SsdDirectory::count_start() {
  if (has_superblock_) QUIRE_TRY(write_pid());
  ++superblock_.start_count;
  seal(superblock_);
  QUIRE_TRY(write_superblock(superblock_));
  if (!has_superblock_) QUIRE_TRY(write_pid());
  return make_directory(directory_.get(), "layouts");
}

Result<void> SsdDirectory::make_writable() {
  if (!read_only_) return {};
  if (has_unknown_features()) {
    return make_error(Errc::kUnsupportedVersion, path_ + " has features that are not known");
  }
  FdGuard file = QUIRE_TRY(open_lock(O_RDWR | O_CREAT));
  lock_ = FdGuard();
  QUIRE_TRY(set_lock(std::move(file), F_WRLCK));
  QUIRE_TRY(count_start());
  QUIRE_TRY(open_layouts());
  read_only_ = false;
  return {};
}

Result<int> SsdDirectory::reopen_data_file(uint32_t number) {
  QUIRE_CHECK(number < files_.size() && files_[number].valid());
  FdGuard file = QUIRE_TRY(open_data_file(data_name(number), false));
  files_[number] = std::move(file);
  return files_[number].get();
}

Result<void> SsdDirectory::open_layouts() {
  if (const auto other = other_than_directory(directory_.get(), "layouts"); !other.empty()) {
    return make_error(Errc::kCorrupt, path_ + "/layouts is not a directory but " +
                                          std::string(other) + ": move it away");
  }
  layouts_ = FdGuard(
      ::openat(directory_.get(), "layouts", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!layouts_.valid() && !(read_only_ && errno == ENOENT)) {
    return file_error("open " + path_ + "/layouts");
  }
  return {};
}

Result<void> SsdDirectory::check_manifest() const {
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

// The superblock lies on the same file system as the data.
Result<void> SsdDirectory::probe_direct_io() {
  direct_io_ = direct_io_ && lock_.valid();
  if (!direct_io_) return {};
  for (const char* name : kSuperblocks) {
    if (!other_than_file(directory_.get(), name).empty()) continue;
    const FdGuard probe(::openat(directory_.get(), name,
                                 O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    direct_io_ = probe.valid();
    if (direct_io_ || errno == EINVAL) return {};
    if (errno != ENOENT) return file_error("open " + path_ + "/" + name);
  }
  return {};
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

Result<FdGuard> SsdDirectory::open_data_file(const std::string& name, bool create) const {
  const int flags = (direct_io_ ? O_DIRECT : 0) | (read_only_ ? O_RDONLY : O_RDWR) |
                    (create && !read_only_ ? O_CREAT : 0);
  Result<FdGuard> file = open_regular(directory_.get(), name, flags);
  if (file.ok()) return file;
  if (file.code() != Errc::kNotFound) {
    return make_error(file.code(), path_ + "/" + file.error().text);
  }
  return make_error(Errc::kNotFound, "no data file " + path_ + "/" + name);
}

Result<int> SsdDirectory::data_file(uint32_t number, bool create) {
  if (number >= kMaxRegions) {
    return make_error(Errc::kInvalidArgument,
                      "data files are numbered below " + std::to_string(kMaxRegions));
  }
  if (number < files_.size() && files_[number].valid()) return files_[number].get();
  FdGuard file = QUIRE_TRY(open_data_file(data_name(number), create));
  if (files_.size() <= number) files_.resize(number + 1);
  files_[number] = std::move(file);
  return files_[number].get();
}

// Where the file system knows no files without a name, one is made and its name taken away.
Result<FdGuard> SsdDirectory::nameless_file() const {
  const int flags = O_RDWR | O_CLOEXEC | (direct_io_ ? O_DIRECT : 0);
  FdGuard file(::openat(directory_.get(), ".", flags | O_TMPFILE, S_IRUSR | S_IWUSR));
  if (file.valid()) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
    return file_error("make a file in " + path_);
  }
  const std::string name = "quire.probe." + std::to_string(::getpid());
  file = FdGuard(
      ::openat(directory_.get(), name.c_str(), flags | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR));
  if (!file.valid()) return file_error("make " + path_ + "/" + name);
  if (::unlinkat(directory_.get(), name.c_str(), 0) != 0) return file_error("unlink " + name);
  return file;
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

uint64_t SsdDirectory::data_file_bytes(uint32_t number) const {
  struct stat status {};
  if (number >= kMaxRegions ||
      ::fstatat(directory_.get(), data_name(number).c_str(), &status, 0) != 0) {
    return 0;
  }
  return static_cast<uint64_t>(status.st_size);
}

uint64_t SsdDirectory::data_file_blocks(uint32_t number) const {
  constexpr uint64_t kStatBlockBytes = 512;
  struct stat status {};
  if (number >= kMaxRegions ||
      ::fstatat(directory_.get(), data_name(number).c_str(), &status, 0) != 0) {
    return 0;
  }
  return static_cast<uint64_t>(status.st_blocks) * kStatBlockBytes;
}

Result<std::vector<uint32_t>> SsdDirectory::list_data_files() const {
  const std::vector<std::string> names = QUIRE_TRY(list_names(directory_.get()));
  std::vector<uint32_t> numbers;
  for (const std::string& name : names) {
    const std::optional<uint32_t> number = data_number(name);
    if (!number || *number >= kMaxRegions) continue;
    if (const auto other = other_than_file(directory_.get(), name); !other.empty()) {
      return make_error(Errc::kCorrupt, path_ + "/" + name + " is not a file but " +
                                            std::string(other) + ": move it away");
    }
    numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<void> SsdDirectory::store_layout(const Hash256& digest, const Layout& layout) const {
  const std::vector<std::byte> bytes = model::encode(layout);
  if (!(model::sha256(bytes) == digest)) {
    return make_error(Errc::kInvalidArgument, "the digest is not that of the layout");
  }
  if (load_layout(digest).ok()) {
    // The one who made it may have been killed before its name was durable.
    return read_only_ ? Result<void>{} : sync_directory(layouts_.get());
  }
  if (read_only_) {
    return make_error(Errc::kUnsupportedVersion,
                      path_ +
                          " is read-only: a later daemon wrote it with a feature that this "
                          "one does not know");
  }
  return replace_file(layouts_.get(), layout_name(digest), bytes);
}

Result<Layout> SsdDirectory::load_layout(const Hash256& digest) const {
  const std::string name = layout_name(digest);
  if (!layouts_.valid()) return make_error(Errc::kNotFound, "no layout " + name);
  const std::vector<std::byte> bytes =
      QUIRE_TRY(read_file(layouts_.get(), name, model::kMaxFrameBytes));
  if (!(model::sha256(bytes) == digest)) {
    return make_error(Errc::kCorrupt, path_ + "/layouts/" + name +
                                          " does not hash to its name; it is written anew with the "
                                          "next pages of the layout");
  }
  return model::decode_layout(bytes);
}

std::vector<Hash256> SsdDirectory::list_layouts() const {
  std::vector<Hash256> digests;
  if (!layouts_.valid()) return digests;
  const Result<std::vector<std::string>> names = list_names(layouts_.get());
  if (!names.ok()) return digests;
  for (const std::string& name : *names) {
    if (const std::optional<Hash256> digest = layout_digest_of(name)) digests.push_back(*digest);
  }
  return digests;
}

}  // namespace quire::tiering
