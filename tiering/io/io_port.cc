#include "tiering/io/io_port.h"

#include <array>

#include "model/check.h"

namespace quire::tiering {

std::span<IoOp* const> IoClient::take() {
  taken_.clear();
  taken_.swap(done_);
  return taken_;
}

void IoPort::submit_first(IoOp* op) {
  QUIRE_CHECK(op->client != nullptr);
  waiting_.push_back(op);
}

bool IoPort::submit(IoOp* op) {
  QUIRE_CHECK(op->client != nullptr);
  return engine_->submit(op);
}

// A sync that had to wait for transfers to leave it a place would hold up all that it stands for.
void IoPort::hand_over() {
  while (!waiting_.empty() && engine_->submit(waiting_.front())) {
    firsts_.push_back({.op = waiting_.front(), .since_ns = clock_->now_ns()});
    waiting_.pop_front();
  }
}

bool IoPort::poll() {
  std::array<IoOp*, 64> done;
  const size_t count = engine_->poll(done);
  for (IoOp* op : std::span(done).first(count)) {
    std::erase_if(firsts_, [op](const First& first) { return first.op == op; });
    op->client->done_.push_back(op);
  }
  return count > 0;
}

std::optional<int64_t> IoPort::next_hung(int64_t now_ns, int64_t hang_ns) {
  for (First& first : firsts_) {
    if (first.told || now_ns - first.since_ns < hang_ns) continue;
    first.told = true;
    return now_ns - first.since_ns;
  }
  return std::nullopt;
}

}  // namespace quire::tiering
