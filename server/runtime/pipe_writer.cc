#include "server/runtime/pipe_writer.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "model/check.h"

namespace quire::server {

void PipeWriter::put(std::string_view message) {
  if (gone_) return;
  QUIRE_CHECK(is_flushed());
  buffer_.assign(message);
  sent_ = 0;
}

bool PipeWriter::flush() {
  while (!gone_ && !is_flushed()) {
    const ssize_t wrote = ::write(fd_.get(), buffer_.data() + sent_, buffer_.size() - sent_);
    if (wrote >= 0) {
      sent_ += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN) {
      return false;
    } else if (errno != EINTR) {
      give_up();  // EPIPE, as a rule
    }
  }
  return true;
}

bool PipeWriter::reader_gone() {
  if (gone_) return true;
  pollfd entry{.fd = fd_.get(), .events = 0, .revents = 0};
  // A pipe without a reader is in error, whatever one asks for.
  if (::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLERR | POLLNVAL)) != 0) give_up();
  return gone_;
}

void PipeWriter::wait(std::chrono::milliseconds at_most) {
  pollfd entry{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  ::poll(&entry, 1, static_cast<int>(at_most.count()));
}

void PipeWriter::give_up() {
  gone_ = true;
  buffer_.clear();
  sent_ = 0;
}

}  // namespace quire::server
