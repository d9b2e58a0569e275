#include "server/runtime/region_maker.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

namespace quire::server {

namespace {

constexpr uint64_t kPieceBytes = 256 << 10;
constexpr auto kNap = std::chrono::microseconds(10);

}  // namespace

model::Result<RegionMaker> RegionMaker::create() {
  return RegionMaker(QUIRE_TRY(Line::create("quire-make", Line::one_by_one<allocate>)));
}

// On the thread. In pieces, with a nap after each: whoever woke meanwhile, such as a neighbour's
// engine, would otherwise wait for the kernel's next tick, which may be 4 ms away.
RegionMaker::Receipt RegionMaker::allocate(const Task& task) {
  const model::FdGuard fd(task.fd);
  int result = 0;
  for (uint64_t at = 0; at < task.bytes && result == 0; at += kPieceBytes) {
    const uint64_t piece = std::min(kPieceBytes, task.bytes - at);
    if (at > 0) std::this_thread::sleep_for(kNap);
    do {
      result = ::fallocate(fd.get(), 0, static_cast<off_t>(at), static_cast<off_t>(piece));
    } while (result != 0 && errno == EINTR);
  }
  return {task.id, result == 0};
}

void RegionMaker::make(model::FdGuard fd, uint64_t bytes, uint32_t uid, uint64_t id) {
  const auto queue = std::find_if(queues_.begin(), queues_.end(),
                                  [&](const Queue& one) { return one.uid == uid; });
  (queue == queues_.end() ? queues_.emplace_back(Queue{uid, {}}) : *queue)
      .requests.push_back({id, bytes, std::move(fd)});
  give_next();
}

void RegionMaker::give_next() {
  // One at a time on the thread, so that the next uid's turn is decided as late as possible.
  if (line_.open_count() > 0 || queues_.empty()) return;
  Queue queue = std::move(queues_.front());
  queues_.pop_front();
  Request& request = queue.requests.front();
  line_.give({request.id, request.bytes, request.fd.release()});
  queue.requests.pop_front();
  // Behind all other uids: one that opens many sessions waits for itself.
  if (!queue.requests.empty()) queues_.push_back(std::move(queue));
}

void RegionMaker::forget(uint64_t id) {
  for (Queue& queue : queues_) {
    std::erase_if(queue.requests, [id](const Request& request) { return request.id == id; });
  }
  std::erase_if(queues_, [](const Queue& queue) { return queue.requests.empty(); });
}

void RegionMaker::collect(const std::function<void(uint64_t id, bool made)>& visit) {
  while (const auto receipt = line_.take()) {
    give_next();
    visit(receipt->id, receipt->made);
  }
}

size_t RegionMaker::open_count() const {
  size_t count = line_.open_count();
  for (const Queue& queue : queues_) count += queue.requests.size();
  return count;
}

}  // namespace quire::server
