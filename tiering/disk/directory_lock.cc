#include "tiering/disk/directory_lock.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <string_view>
#include <utility>

#include "tiering/io/durable_file.h"

namespace quire::tiering {

using model::Errc;
using model::FdGuard;
using model::make_error;
using model::Result;

namespace {

constexpr size_t kMaxPidLine = 11;  // of ten digits

// Who holds the lock, as far as the lock file tells: its pid is written after the lock is taken.
std::string holder_of(int lock) {
  std::array<char, 24> text{};
  const ssize_t bytes = ::pread(lock, text.data(), text.size(), 0);
  int32_t pid = 0;
  if (bytes > 0) std::from_chars(text.data(), text.data() + bytes, pid);
  // A dead one's pid stays in the file until the next holder writes its own.
  const bool lives = pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
  return lives ? "pid " + std::to_string(pid) : "another process";
}

bool on_read_only_file_system(int directory) {
  struct statvfs file_system {};
  return ::fstatvfs(directory, &file_system) == 0 && (file_system.f_flag & ST_RDONLY) != 0;
}

// Ours is empty, or holds a pid; before there is a superblock it is empty.
Result<void> refuse_foreign(const LockPlace& place, int lock) {
  std::array<char, kMaxPidLine + 1> text{};
  const ssize_t bytes = ::pread(lock, text.data(), text.size(), 0);
  if (bytes < 0) return file_error("read " + place.path + "/lock");
  const std::string_view line(text.data(), static_cast<size_t>(bytes));
  const size_t digits = std::min(line.find_first_not_of("0123456789"), line.size());
  const bool pid = digits > 0 && line.size() <= kMaxPidLine && line.substr(digits) == "\n";
  if (line.empty() || (place.has_superblock && pid)) return {};
  return make_error(Errc::kInvalidArgument,
                    place.path +
                        "/lock is not Quire's and was left alone; move it away or choose "
                        "another --ssd_path");
}

// Without the lock of fcntl(2). kNotFound: there is none; kInvalidArgument: somebody else's.
Result<FdGuard> open_lock(const LockPlace& place, int flags) {
  Result<FdGuard> file = open_regular(place.directory, "lock", flags);
  if (!file.ok()) return make_error(file.code(), place.path + "/" + file.error().text);
  QUIRE_TRY(refuse_foreign(place, file->get()));
  return file;
}

}  // namespace

Result<void> DirectoryLock::take(const LockPlace& place) {
  return set(place, QUIRE_TRY(open_lock(place, O_RDWR | O_CREAT)), F_WRLCK);
}

Result<void> DirectoryLock::take_to_look(const LockPlace& place) {
  Result<FdGuard> file = open_lock(place, O_RDWR);
  if (file.ok()) return set(place, std::move(file).value(), F_WRLCK);
  if (file.code() == Errc::kNotFound) return {};  // nobody holds it
  if (file.code() != Errc::kIoError || !on_read_only_file_system(place.directory)) {
    return file.error();
  }
  // Keeps those out who would write, should the file system be writable later.
  return set(place, QUIRE_TRY(open_lock(place, O_RDONLY)), F_RDLCK);
}

// The old descriptor goes first, and its lock with it.
Result<void> DirectoryLock::set(const LockPlace& place, FdGuard&& file, short type) {
  file_ = std::move(file);
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  if (::fcntl(file_.get(), F_OFD_SETLK, &range) == 0) return {};
  if (errno != EAGAIN && errno != EACCES) return file_error("lock " + place.path + "/lock");
  return make_error(Errc::kBusy, place.path + " is in use by " + holder_of(file_.get()) +
                                     "; stop it or choose another --ssd_path");
}

// Neither synced nor replaced: after a crash nobody holds the lock, and the text is for nobody.
Result<void> DirectoryLock::write_pid(const std::string& path) const {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file_.get(), 0) != 0 ||
      ::pwrite(file_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return file_error("write " + path + "/lock");
  }
  return {};
}

}  // namespace quire::tiering
