// Keeps on disk what commands have changed, so that it survives a restart: whole or not at all, and
// off the core, which hands over a text and goes on.
//
//   core: keep(text) --newest wins--> thread: NAME.new, fsync, rename, fsync --> is_kept()
//
// What cannot be written is in force all the same; the log says that a restart will not know it,
// and the next change tries again. Threads: core only, but for its own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "model/helper_thread.h"
#include "model/result.h"

namespace quire::server {

class StateKeeper {
 public:
  // An empty path: nothing is kept, and nothing has to be. kResourceExhausted: no thread.
  static model::Result<std::unique_ptr<StateKeeper>> create(const std::string& path);
  // Waits for what is being written.
  ~StateKeeper() = default;

  void keep(std::string text);
  // The last text is on disk, or could not be written.
  bool is_kept() const { return done_.load(std::memory_order_acquire) == asked_; }
  // Why the last one that was tried could not be written; empty: it was.
  std::string error() const;
  const std::string& path() const { return path_; }

 private:
  explicit StateKeeper(std::string path) : path_(std::move(path)) {}
  std::chrono::milliseconds step();
  model::Result<void> write(const std::string& text) const;

  const std::string path_;
  uint64_t asked_ = 0;
  mutable std::mutex mutex_;  // of the next two
  std::optional<std::pair<uint64_t, std::string>> next_;
  std::string error_;
  std::atomic<uint64_t> done_{0};
  model::HelperThread thread_;  // last: ends before what it uses goes away
};

}  // namespace quire::server
