// Records what a daemon asks of the device under its SSD tier, in one order, and makes of it the
// directories that power cuts would leave.
//
// Of a data file is certain what was written, and had come back, before a sync began that came back
// too. Of a file of the manifest what was appended before a sync. Of a name what was done before
// its directory was synced. Everything else may be there: writes in any selection, torn at 512 or
// 4096 bytes, and the names done first. Small files that are replaced and synced at once
// (superblock, layouts) are certain from the moment at which they are seen.
// Threads: any may report; images are made when the daemon is gone. Lifetime: outlives the daemon.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "server/daemon.h"
#include "tests/support/faulty_file_system.h"
#include "tiering/io/io_engine.h"

namespace quire::tests {

class PowerRecorder {
 public:
  // ssd_path: of the directory recorded.
  explicit PowerRecorder(std::string ssd_path);

  // For the daemon to be recorded.
  server::DaemonSeams seams();
  // What an observer was told at this moment.
  void note(const std::string& line);

  struct ImageOptions {
    uint64_t seed = 1;
    uint32_t at_each_sync = 2;  // images with unsynced parts, beside the one without
  };
  struct Image {
    std::string path;
    std::string what;                // for messages: point, seed
    std::vector<std::string> notes;  // before the cut
  };
  // Calls for each image, below `scratch`; it is removed after the call. False from the call ends
  // it. Returns how many there were.
  uint64_t for_each_image(const std::string& scratch, const ImageOptions& options,
                          const std::function<bool(const Image&)>& visit) const;

 private:
  friend class PowerReplay;
  enum class Kind : uint8_t {
    kWriteBegun,
    kWriteDone,
    kSyncBegun,
    kSyncDone,
    kGrown,      // a data file, to `offset`
    kSmallFile,  // there whole, with `bytes`
    kManifest,   // `operation` on a file of the manifest
    kNote,
  };
  struct Event {
    Kind kind = Kind::kNote;
    FileOperation operation = FileOperation::kCreate;
    uint64_t id = 0;  // of the write or sync, the same when begun and done
    std::string path;
    std::string target;
    uint64_t offset = 0;
    std::string bytes;
  };

  void on_submit(const tiering::IoOp& op);
  void on_done(const tiering::IoOp& op);
  void on_file(int fd, tiering::FileIndex file);
  void on_change(const FileEvent& change);
  void look_for_small_files();
  std::string relative(std::string path) const;

  const std::string ssd_path_;
  FaultyFileSystem file_system_;
  std::mutex mutex_;  // of all below
  std::vector<Event> events_;
  std::map<uint32_t, std::string> data_files_;  // by FileIndex
  std::map<const void*, uint64_t> under_way_;   // operations, by address
  std::set<std::string> small_files_;           // seen
  uint64_t next_id_ = 1;
};

}  // namespace quire::tests
