#include "server/runtime/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace quire::server {

using model::errno_error;
using model::FdGuard;

model::Result<EventLoop> EventLoop::create() {
  EventLoop loop;
  loop.epoll_ = FdGuard(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop.epoll_.valid()) return errno_error("epoll_create1");
  return loop;
}

model::Result<void> EventLoop::add(int fd, uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  // The descriptor, not the handler: events of this turn may name a handler that is destroyed by
  // then.
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll_ctl");
  handlers_[fd] = handler;
  return {};
}

void EventLoop::change(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::remove(int fd) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  handlers_.erase(fd);
}

int EventLoop::turn(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms);
  for (int i = 0; i < count; ++i) {
    // Looked up for each event: an earlier handler of this turn may have removed this one.
    const auto found = handlers_.find(events[i].data.fd);
    if (found != handlers_.end()) found->second->on_event(events[i].events);
  }
  return count < 0 ? 0 : count;
}

model::Result<Waker> Waker::create() {
  FdGuard fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return errno_error("eventfd");
  return Waker(std::move(fd));
}

void Waker::wake() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // The fence pairs with the core's own order, asleep first, then a last look: one of both sees the
  // other. An awake core costs no system call.
  if (asleep_.load(std::memory_order_seq_cst) == 0) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof(one));
}

}  // namespace quire::server
