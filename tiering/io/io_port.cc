#include "tiering/io/io_port.h"

#include <array>
#include <string_view>

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
  op->submitted_ns = clock_->now_ns();
  return engine_->submit(op);
}

// A sync that had to wait for transfers to leave it a place would hold up all that it stands for.
void IoPort::hand_over() {
  while (!waiting_.empty()) {
    IoOp* op = waiting_.front();
    op->submitted_ns = clock_->now_ns();
    if (!engine_->submit(op)) return;
    firsts_.push_back({.op = op, .since_ns = op->submitted_ns});
    waiting_.pop_front();
  }
}

bool IoPort::poll() {
  std::array<IoOp*, 64> done;
  const size_t count = engine_->poll(done);
  if (count == 0) return false;
  const int64_t now_ns = clock_->now_ns();
  for (IoOp* op : std::span(done).first(count)) {
    std::erase_if(firsts_, [op](const First& first) { return first.op == op; });
    times_[static_cast<size_t>(op->kind)].add(now_ns - op->submitted_ns);
    op->client->done_.push_back(op);
  }
  return true;
}

void IoPort::describe(model::MetricSink& sink) const {
  static constexpr std::array<std::string_view, kIoKinds> kNames{"read", "write", "sync",
                                                                 "allocate", "deallocate"};
  const auto list = sink.list({.key = "io", .prefix = "io", .by_label = true});
  for (size_t kind = 0; kind < kIoKinds; ++kind) {
    const auto row = sink.row({.name = "op", .text = kNames[kind]});
    sink.histogram({.key = "duration",
                    .help = "Time that the device took for operations",
                    .name = {model::MetricFamily::kIoDuration}},
                   times_[kind]);
  }
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
