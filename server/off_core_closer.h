// Closes on a thread of its own what may take long to close, so that the core never does.
//
// Closing a client's socket closes the descriptors that wait in it, too, and those may be anything:
// a TCP socket with SO_LINGER keeps whoever closes it for as long as its owner wishes. Unmapping a
// large session frees its memory. Work goes through a pipe and comes back through another, so the
// thread shares no memory with the core and nobody waits for it at the end: it is detached, and
// ends when the closer does and its last close returns.
//
// Threads: core only. Bound: what is on its way is held by clients' connections and sessions, whose
// uids stay charged until collect() says that it is gone.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <deque>
#include <functional>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::server {

class OffCoreCloser {
 public:
  static model::Result<OffCoreCloser> create();

  // `uid`: whom collect() names when it is done.
  void close(model::FdGuard fd, uint32_t uid);
  void unmap(model::Mapping mapping);
  // Calls visit(uid) for each socket that is closed by now. Hands over what found the pipe full.
  void collect(const std::function<void(uint32_t uid)>& visit);
  // Ends the wait of a close under way, if there is one: the thread gets a signal that does
  // nothing. What a client wants to linger for is not worth a descriptor of the daemon.
  void hurry();
  // Sockets that were given and not yet collected.
  uint32_t open_count() const { return open_count_; }

 private:
  // Smaller than PIPE_BUF: written and read whole.
  struct Task {
    int32_t fd = -1;
    uint32_t uid = 0;
    uint64_t address = 0;
    uint64_t bytes = 0;
  };
  OffCoreCloser() = default;
  void hand_over(const Task& task);
  bool write_task(const Task& task);
  static void run(int tasks, int done);

  model::FdGuard tasks_;      // written by the core
  model::FdGuard done_;       // read by the core: a uid for each socket
  pthread_t thread_{};        // lives until tasks_ is closed
  std::deque<Task> waiting_;  // the pipe was full
  uint32_t open_count_ = 0;
};

}  // namespace quire::server
