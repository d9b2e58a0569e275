#include "model/reference/thread_team.h"

namespace quire::reference {

ThreadTeam::ThreadTeam(uint32_t threads) {
  for (uint32_t i = 1; i < threads; ++i) threads_.emplace_back([this, i] { work(i); });
}

ThreadTeam::~ThreadTeam() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::take_items(const Body& body, uint32_t items, uint32_t worker) {
  for (;;) {
    const uint32_t item = next_item_.fetch_add(1, std::memory_order_relaxed);
    if (item >= items) return;
    body(item, worker);
  }
}

void ThreadTeam::run(uint32_t items, const Body& body) {
  if (items <= 1 || threads_.empty()) {
    for (uint32_t item = 0; item < items; ++item) body(item, 0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    body_ = &body;
    items_ = items;
    next_item_.store(0, std::memory_order_relaxed);
    ++round_;
  }
  wake_.notify_all();
  take_items(body, items, 0);
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return busy_ == 0; });
  body_ = nullptr;  // a thread that wakes only now finds nothing to do
}

void ThreadTeam::work(uint32_t worker) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
    if (stopping_) return;
    seen = round_;
    if (body_ == nullptr) continue;
    ++busy_;
    const Body& body = *body_;
    const uint32_t items = items_;
    lock.unlock();
    take_items(body, items, worker);
    lock.lock();
    if (--busy_ == 0) idle_.notify_one();
  }
}

}  // namespace quire::reference
