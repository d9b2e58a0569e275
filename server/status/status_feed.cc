#include "server/status/status_feed.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "model/check.h"

namespace quire::server {

model::Result<std::unique_ptr<StatusFeed>> StatusFeed::create(Waker* waker) {
  model::FdGuard event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!event.valid()) return model::errno_error("eventfd");
  return std::unique_ptr<StatusFeed>(new StatusFeed(waker, std::move(event)));
}

void StatusFeed::ask() {
  QUIRE_CHECK(is_readers());
  state_.store(State::kAsked, std::memory_order_seq_cst);
  waker_->wake();
}

void StatusFeed::filled() {
  QUIRE_CHECK(is_asked());
  state_.store(State::kFilled, std::memory_order_release);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(filled_event_.get(), &one, sizeof(one));
}

}  // namespace quire::server
