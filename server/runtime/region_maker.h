// Allocates the memory of sessions on a thread of its own, before their clients hear of them.
//
// The largest takes as long as thousands of requests. One file at a time, and uids in turn: who
// opens many large sessions waits for its own. By descriptor, not through the mapping: a fault
// would hold the lock of the daemon's address space against the core. Threads: core only. Bound:
// one file a connection.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/runtime/off_core_line.h"

namespace quire::server {

class RegionMaker {
 public:
  static model::Result<RegionMaker> create();

  // All of the file's `bytes`, for `uid`; collect() names `id`.
  void make(model::FdGuard fd, uint64_t bytes, uint32_t uid, uint64_t id);
  // Nobody waits for it any more. What the thread is at, it brings to its end.
  void forget(uint64_t id);
  // Calls visit(id, made) for what is done by now; not made: there is no memory.
  void collect(const std::function<void(uint64_t id, bool made)>& visit);
  // What the thread has, and what waits for its uid's turn.
  size_t open_count() const;
  // Readable when there is something to collect.
  int done_fd() const { return line_.done_fd(); }

 private:
  struct Task {
    uint64_t id = 0;
    uint64_t bytes = 0;
    int32_t fd = -1;  // the thread's
  };
  struct Receipt {
    uint64_t id = 0;
    bool made = false;
  };
  struct Request {
    uint64_t id = 0;
    uint64_t bytes = 0;
    model::FdGuard fd;
  };
  struct Queue {
    uint32_t uid = 0;
    std::deque<Request> requests;
  };
  using Line = OffCoreLine<Task, Receipt>;
  explicit RegionMaker(Line line) : line_(std::move(line)) {}
  static Receipt allocate(const Task& task);
  void give_next();

  Line line_;
  std::deque<Queue> queues_;  // of uids that wait, by whose turn it is
};

}  // namespace quire::server
