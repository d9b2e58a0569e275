// The daemon's unix stream socket.
//
// 1. PATH.lock, locked for the listener's life, says whose path it is: of two starts at once one
//    gets it. The kernel drops the lock with its process, so a dead daemon's path is free.
// 2. Only a socket is ever removed: a stale one at the start, and at the stop the very one that
//    was bound (device and inode), so that neither a user's file nor a successor's socket goes.
// 3. An adopted socket is a service manager's, who keeps it over restarts: it has no lock here, and
//    nothing of it is removed.
// Threads: core only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/runtime/event_loop.h"

namespace quire::server {

struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;  // 0 = none
  bool operator==(const FileIdentity&) const = default;
};

class Listener final : public EventHandler {
 public:
  // Makes the parent directory (0750) when it is missing. kAlreadyExists: another daemon has the
  // path; kInvalidArgument: what is there is not a socket.
  static model::Result<std::unique_ptr<Listener>> create(
      const std::string& path, uint32_t mode, EventLoop* loop,
      std::function<bool(model::FdGuard)> on_accept);
  // A listening unix stream socket, duplicated; kInvalidArgument: it is something else.
  static model::Result<std::unique_ptr<Listener>> adopt(
      int fd, EventLoop* loop, std::function<bool(model::FdGuard)> on_accept);
  ~Listener() override;  // stops listening and removes its socket and lock file

  void on_event(uint32_t epoll_events) override;
  // After running out of descriptors, or of memory: try again, now that some were closed.
  void resume();
  const std::string& path() const { return path_; }

 private:
  Listener(std::string path, EventLoop* loop, std::function<bool(model::FdGuard)> on_accept)
      : path_(std::move(path)), loop_(loop), on_accept_(std::move(on_accept)) {}
  model::Result<void> bind_and_listen(uint32_t mode);
  bool owns_socket_file() const;

  std::string path_;
  EventLoop* loop_;
  std::function<bool(model::FdGuard)> on_accept_;  // false: it was refused
  model::FdGuard lock_;
  model::FdGuard fd_;
  FileIdentity bound_;  // of the socket file; valid once bound
  bool paused_ = true;  // not in the loop
};

}  // namespace quire::server
