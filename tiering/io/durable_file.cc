#include "tiering/io/durable_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "model/fd_guard.h"

namespace quire::tiering {

using model::Errc;
using model::Error;
using model::FdGuard;
using model::make_error;
using model::Result;

namespace {

Result<void> write_all(int fd, std::span<const std::byte> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error("write " + name);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return {};
}

// A new file of its own: one left by an earlier failure may have pages that an fsync lost.
Result<void> write_new_file(int directory, const std::string& name,
                            std::span<const std::byte> bytes) {
  if (::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
    return file_error("unlink " + name);
  }
  const FdGuard file(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                              S_IRUSR | S_IWUSR));
  if (!file.valid()) return file_error("create " + name);
  QUIRE_TRY(write_all(file.get(), bytes, name));
  if (::fsync(file.get()) != 0) return file_error("fsync " + name);
  return {};
}

std::string_view kind_of(mode_t mode) {
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "a file";
}

std::string_view other_than(mode_t wanted, int directory, const std::string& name) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
  return (status.st_mode & S_IFMT) == wanted ? std::string_view() : kind_of(status.st_mode);
}

Error not_a_file(const std::string& name, std::string_view what) {
  return make_error(Errc::kCorrupt,
                    name + " is not a file but " + std::string(what) + ": move it away");
}

}  // namespace

std::string_view other_than_file(int directory, const std::string& name) {
  return other_than(S_IFREG, directory, name);
}

std::string_view other_than_directory(int directory, const std::string& name) {
  return other_than(S_IFDIR, directory, name);
}

// Asked before the opening, because opening a device may do things, and after, because what stands
// there may have changed. O_NONBLOCK goes again: to io_uring it forbids to wait for the disk.
Result<FdGuard> open_regular(int directory, const std::string& name, int flags) {
  if (const std::string_view other = other_than_file(directory, name); !other.empty()) {
    return not_a_file(name, other);
  }
  FdGuard file(::openat(directory, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                        S_IRUSR | S_IWUSR));
  if (!file.valid() && errno == ENOENT) return make_error(Errc::kNotFound, "no file " + name);
  if (!file.valid()) return file_error("open " + name);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return file_error("stat " + name);
  if (!S_ISREG(status.st_mode)) return not_a_file(name, kind_of(status.st_mode));
  const int opened = ::fcntl(file.get(), F_GETFL);
  if (opened < 0 || ::fcntl(file.get(), F_SETFL, opened & ~O_NONBLOCK) != 0) {
    return file_error("open " + name);
  }
  return file;
}

Error file_error(std::string_view what) {
  const int code = errno;
  Error error = model::errno_error(what);
  // Memory is not what a file of the tier ran out of: its room is, or its descriptors.
  const bool room = code == ENOSPC || code == EDQUOT || code == EFBIG;
  const bool descriptors = code == EMFILE || code == ENFILE;
  error.code = room || descriptors ? Errc::kResourceExhausted : Errc::kIoError;
  return error;
}

Result<void> sync_directory(int directory) {
  if (::fsync(directory) != 0) return file_error("fsync of the directory");
  return {};
}

Result<void> make_directory(int directory, const std::string& name) {
  if (::mkdirat(directory, name.c_str(), S_IRWXU) == 0) return sync_directory(directory);
  if (errno != EEXIST) return file_error("mkdir " + name);
  return {};
}

Result<void> replace_file(int directory, const std::string& name,
                          std::span<const std::byte> bytes) {
  const std::string fresh = name + ".new";
  Result<void> written = write_new_file(directory, fresh, bytes);
  if (written.ok() && ::renameat(directory, fresh.c_str(), directory, name.c_str()) != 0) {
    written = file_error("rename " + fresh);
  }
  if (!written.ok()) {
    ::unlinkat(directory, fresh.c_str(), 0);
    return written;
  }
  return sync_directory(directory);
}

Result<std::vector<std::byte>> read_file(int directory, const std::string& name, size_t max_bytes) {
  const FdGuard file = QUIRE_TRY(open_regular(directory, name, O_RDONLY));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return file_error("stat " + name);
  if (static_cast<uint64_t>(status.st_size) > max_bytes) {
    return make_error(Errc::kCorrupt, name + " is too long");
  }
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error("read " + name);
    if (count == 0) break;  // shortened meanwhile: the caller's checks find it
    have += static_cast<size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

Result<std::vector<std::string>> list_names(int directory) {
  // A descriptor of its own: a duplicate would share, and move, the caller's position.
  FdGuard own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) return file_error("open the directory");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
  if (stream == nullptr) return file_error("fdopendir");
  own.release();
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) return file_error("readdir");
    if (entry == nullptr) return names;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
}

}  // namespace quire::tiering
