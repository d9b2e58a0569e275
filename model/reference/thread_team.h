// A few threads that share the items of one loop. Idle threads sleep; nothing spins. One caller at
// a time; the caller works too, and a loop of one item never wakes anybody.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace quire::reference {

class ThreadTeam {
 public:
  // `item` counts from 0; `worker` < size() names a scratch area nobody else uses meanwhile.
  using Body = std::function<void(uint32_t item, uint32_t worker)>;

  explicit ThreadTeam(uint32_t threads);  // at least 1, the caller included
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(threads_.size()) + 1; }
  // Runs body(0..items-1) in any order; returns when all are done and their writes are visible.
  void run(uint32_t items, const Body& body);

 private:
  void work(uint32_t worker);
  void take_items(const Body& body, uint32_t items, uint32_t worker);

  std::mutex mutex_;  // guards body_, items_, round_, busy_, stopping_; also publishes results
  std::condition_variable wake_;
  std::condition_variable idle_;
  const Body* body_ = nullptr;  // of the loop in progress
  uint32_t items_ = 0;
  uint64_t round_ = 0;
  uint32_t busy_ = 0;  // threads, without the caller, inside a loop
  bool stopping_ = false;
  std::atomic<uint32_t> next_item_{0};  // relaxed: only hands out numbers
  std::vector<std::thread> threads_;
};

}  // namespace quire::reference
