// The descriptor behind Session::fd(): one epoll over the daemon's wake-up, an own eventfd for
// completions that are in this process already, and the socket's hang-up.
// Threads: the session's; anyone may poll the descriptor.
#pragma once

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::client {

class ReadyFd {
 public:
  static model::Result<ReadyFd> create(int wakeup_fd, int socket_fd);

  int get() const { return epoll_.get(); }
  // Readable until the next signal(false).
  void signal(bool ready);

 private:
  ReadyFd() = default;

  model::FdGuard epoll_;
  model::FdGuard local_;  // eventfd
  bool signalled_ = false;
};

}  // namespace quire::client
