// The exclusive open file description lock on DIR/lock: a second daemon is refused for as long as
// the first lives, and a dead one's lock is gone with it (CacheLib#226: two writers on one device).
// The file holds the holder's pid, for the error text of others only. A lock file that is somebody
// else's is refused by name and left alone. Threads: any, one at a time.
#pragma once

#include <string>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::tiering {

struct LockPlace {
  int directory = -1;
  std::string path;             // of the directory, for texts
  bool has_superblock = false;  // else a pid in the file is no proof that it is Quire's
};

class DirectoryLock {
 public:
  // For one who writes; makes the file. In place of the one held, which would be in the way of
  // itself. kBusy: another daemon holds it (the text names its pid when known). kInvalidArgument:
  // the file is not Quire's. Errors of open_regular().
  model::Result<void> take(const LockPlace& place);
  // For one who only looks. Makes nothing: without a file nobody holds it, and no lock is taken.
  model::Result<void> take_to_look(const LockPlace& place);
  // Precondition: take() or take_to_look() opened the file.
  model::Result<void> write_pid(const std::string& path) const;
  bool has_file() const { return file_.valid(); }

 private:
  model::Result<void> set(const LockPlace& place, model::FdGuard&& file, short type);

  model::FdGuard file_;  // the lock goes with it
};

}  // namespace quire::tiering
