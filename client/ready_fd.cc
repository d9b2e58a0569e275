#include "client/ready_fd.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace quire::client {

namespace {

model::Result<void> watch(int epoll, int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) return {};
  return model::errno_error("epoll_ctl");
}

}  // namespace

model::Result<ReadyFd> ReadyFd::create(int wakeup_fd, int socket_fd) {
  ReadyFd ready;
  ready.epoll_ = model::FdGuard(::epoll_create1(EPOLL_CLOEXEC));
  if (!ready.epoll_.valid()) return model::errno_error("epoll_create1");
  ready.local_ = model::FdGuard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ready.local_.valid()) return model::errno_error("eventfd");
  // Level-triggered over the daemon's edge: readable until disarm() takes the event.
  QUIRE_TRY(watch(ready.epoll_.get(), wakeup_fd, EPOLLIN));
  QUIRE_TRY(watch(ready.epoll_.get(), ready.local_.get(), EPOLLIN));
  // Frames on the socket are the client's news; only its end concerns a session.
  QUIRE_TRY(watch(ready.epoll_.get(), socket_fd, EPOLLRDHUP));
  return ready;
}

void ReadyFd::signal(bool ready) {
  if (ready == signalled_) return;
  signalled_ = ready;
  uint64_t count = 1;
  // Neither can fail: the counter is 0 before a write and 1 before a read.
  [[maybe_unused]] const ssize_t done = ready ? ::write(local_.get(), &count, sizeof count)
                                              : ::read(local_.get(), &count, sizeof count);
}

}  // namespace quire::client
