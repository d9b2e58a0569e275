// One epoll set. Handlers are called from turn() and may add or remove descriptors, also their own.
// Threads: the core thread only, except Waker::wake().
#pragma once

#include <atomic>
#include <cstdint>
#include <unordered_map>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::server {

class EventHandler {
 public:
  virtual ~EventHandler() = default;
  virtual void on_event(uint32_t epoll_events) = 0;
};

class EventLoop {
 public:
  static model::Result<EventLoop> create();

  // `handler` must stay until remove(fd). `events`: EPOLLIN, EPOLLET, ...
  model::Result<void> add(int fd, uint32_t events, EventHandler* handler);
  // Of a descriptor that is in the set.
  void change(int fd, uint32_t events);
  void remove(int fd);
  // Waits up to timeout_ms (-1: for ever, 0: not at all) and calls handlers. Returns how many.
  int turn(int timeout_ms);

 private:
  model::FdGuard epoll_;
  std::unordered_map<int, EventHandler*> handlers_;
};

// Wakes a sleeping core. The core stores 1 in `asleep` (seq_cst) before it looks for work a last
// time and sleeps; a producer publishes its work, then reads `asleep` (seq_cst): one sees the
// other.
class Waker final : public EventHandler {
 public:
  static model::Result<Waker> create();
  Waker(Waker&& other) noexcept : fd_(std::move(other.fd_)) {}

  int fd() const { return fd_.get(); }
  // Any thread, also a signal handler: a flag and at most one write.
  void wake();
  // Core thread. True before the last look for work, false once it is awake.
  void set_asleep(bool asleep) { asleep_.store(asleep ? 1 : 0, std::memory_order_seq_cst); }
  void on_event(uint32_t) override {}  // edge-triggered: nothing to read

 private:
  explicit Waker(model::FdGuard fd) : fd_(std::move(fd)) {}
  model::FdGuard fd_;
  std::atomic<uint32_t> asleep_{0};
};

}  // namespace quire::server
