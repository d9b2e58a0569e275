#include "tiering/io/copy_workers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <semaphore>
#include <set>
#include <thread>
#include <vector>

#include "tiering/io/crc_copy.h"

namespace quire::tiering::copy_workers_test {
namespace {

// A task that owns its pages and buffers.
struct OwnedTask {
  explicit OwnedTask(uint64_t id, size_t bytes)
      : source(bytes, static_cast<std::byte>(id * 31 + 1)), target(bytes) {
    const size_t half = bytes / 2;
    pages = {CopyPage{source.data(), target.data(), half},
             CopyPage{source.data() + half, target.data() + half, bytes - half},
             CopyPage{.source = source.data(), .bytes = bytes}};
    task = CopyTask{.id = id, .pages = pages};
  }

  void expect_done() const {
    EXPECT_EQ(source, target);
    EXPECT_EQ(pages[2].crc32c, crc32c(source.data(), source.size()));
    EXPECT_EQ(pages[0].crc32c, crc32c(source.data(), source.size() / 2));
  }

  std::vector<std::byte> source;
  std::vector<std::byte> target;
  std::vector<CopyPage> pages;
  CopyTask task;
};

// Submits all, polling when the queues are full, and returns the ids in the order of completion.
std::vector<uint64_t> run_all(CopyWorkers& workers,
                              const std::vector<std::unique_ptr<OwnedTask>>& tasks) {
  std::vector<uint64_t> finished;
  const auto poll = [&] {
    std::array<CopyTask*, 7> done{};
    const size_t count = workers.poll(done);
    for (size_t i = 0; i < count; ++i) finished.push_back(done[i]->id);
    if (count == 0) std::this_thread::yield();
  };
  for (const auto& owned : tasks) {
    while (!workers.submit(&owned->task)) poll();
  }
  while (workers.in_flight() > 0) poll();
  return finished;
}

TEST(CopyWorkers, EveryTaskIsDoneOnceAndReturnedOnce) {
  constexpr uint64_t kCount = 2000;
  std::mt19937_64 random(5);
  std::vector<std::unique_ptr<OwnedTask>> tasks;
  for (uint64_t id = 0; id < kCount; ++id) {
    tasks.push_back(std::make_unique<OwnedTask>(id, random() % 40'000));
  }
  CopyWorkers workers({.threads = 3, .queue_entries = 8, .spin_us = 5, .on_done = {}});
  const std::vector<uint64_t> finished = run_all(workers, tasks);
  EXPECT_EQ(finished.size(), kCount);
  EXPECT_EQ(std::set<uint64_t>(finished.begin(), finished.end()).size(), kCount);
  for (const auto& owned : tasks) owned->expect_done();
}

// Without spinning a worker sleeps before each task: a lost wake-up would hang here.
TEST(CopyWorkers, SleepingWorkerIsWokenForEachTask) {
  std::binary_semaphore finished(0);
  CopyWorkers workers(
      {.threads = 1, .queue_entries = 1, .spin_us = 0, .on_done = [&] { finished.release(); }});
  for (uint64_t id = 0; id < 3000; ++id) {
    OwnedTask owned(id, 64);
    ASSERT_TRUE(workers.submit(&owned.task));
    finished.acquire();
    std::array<CopyTask*, 1> done{};
    ASSERT_EQ(workers.poll(done), 1u);
    ASSERT_EQ(done[0], &owned.task);
  }
}

TEST(CopyWorkers, Law10_FullQueuesRefuseAndTakeNothing) {
  constexpr uint32_t kEntries = 4;
  std::vector<std::unique_ptr<OwnedTask>> tasks;
  for (uint64_t id = 0; id <= 2 * kEntries; ++id) {
    tasks.push_back(std::make_unique<OwnedTask>(id, 100));
  }
  std::counting_semaphore<> finished(0);
  CopyWorkers workers({.threads = 2, .queue_entries = kEntries, .spin_us = 0, .on_done = [&] {
                         finished.release();
                       }});
  for (uint64_t id = 0; id < 2 * kEntries; ++id) EXPECT_TRUE(workers.submit(&tasks[id]->task));
  for (uint64_t id = 0; id < 2 * kEntries; ++id) finished.acquire();
  // Finished or not: what was not polled keeps its place.
  EXPECT_FALSE(workers.submit(&tasks.back()->task));
  EXPECT_EQ(workers.in_flight(), 2 * kEntries);
  std::array<CopyTask*, 1> done{};
  EXPECT_EQ(workers.poll(done), 1u);
  EXPECT_TRUE(workers.submit(&tasks.back()->task));
}

// Holds the worker until the test has submitted everything: the order is then the worker's choice.
struct Gate {
  static void pass(CopyTask& task) { reinterpret_cast<Gate*>(task.id)->opened.acquire(); }
  std::binary_semaphore opened{0};
  CopyTask task{.id = reinterpret_cast<uint64_t>(this), .other_work = pass};
};

// Ids in the order of completion by one worker, all submitted before it starts on the first.
std::vector<uint64_t> order_of(const std::vector<std::unique_ptr<OwnedTask>>& tasks) {
  Gate gate;
  CopyWorkers workers({.threads = 1, .queue_entries = 256, .spin_us = 0, .on_done = {}});
  EXPECT_TRUE(workers.submit(&gate.task));
  for (const auto& owned : tasks) EXPECT_TRUE(workers.submit(&owned->task));
  gate.opened.release();
  std::vector<uint64_t> finished;
  while (workers.in_flight() > 0) {
    CopyTask* task = nullptr;
    if (workers.poll(std::span(&task, 1)) == 0) continue;
    if (task != &gate.task) finished.push_back(task->id);
  }
  for (const auto& owned : tasks) owned->expect_done();
  return finished;
}

TEST(CopyWorkers, Law06_ClientWithManyTasksDelaysAnotherByOne) {
  std::vector<std::unique_ptr<OwnedTask>> tasks;
  for (uint64_t id = 0; id < 100; ++id) {
    tasks.push_back(std::make_unique<OwnedTask>(id, 1000));
    tasks.back()->task.client = 1;
  }
  tasks.push_back(std::make_unique<OwnedTask>(100, 1000));
  tasks.back()->task.client = 2;
  const std::vector<uint64_t> order = order_of(tasks);
  ASSERT_EQ(order.size(), 101u);
  EXPECT_EQ(order[0], 0u);
  EXPECT_EQ(order[1], 100u) << "after one task of the other client";
  EXPECT_TRUE(std::is_sorted(order.begin() + 2, order.end())) << "a client's own keep their order";
}

TEST(CopyWorkers, Law06_HugePageDelaysAnotherClientByAPiece) {
  std::vector<std::unique_ptr<OwnedTask>> tasks;
  tasks.push_back(std::make_unique<OwnedTask>(0, 8 << 20));
  tasks[0]->task.client = 1;
  tasks.push_back(std::make_unique<OwnedTask>(1, 1000));
  tasks[1]->task.client = 2;
  EXPECT_EQ(order_of(tasks), (std::vector<uint64_t>{1, 0}));
}

TEST(CopyWorkers, DestructorFinishesWhatWasSubmitted) {
  constexpr uint64_t kCount = 64;
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<OwnedTask>> tasks;
    for (uint64_t id = 0; id < kCount; ++id) {
      tasks.push_back(std::make_unique<OwnedTask>(id, 30'000));
    }
    std::atomic<uint64_t> done_count = 0;
    {
      CopyWorkers workers(
          {.threads = 2, .queue_entries = kCount, .spin_us = 0, .on_done = [&] { ++done_count; }});
      for (const auto& owned : tasks) ASSERT_TRUE(workers.submit(&owned->task));
    }
    EXPECT_EQ(done_count, kCount);
    for (const auto& owned : tasks) owned->expect_done();
  }
}

TEST(CopyWorkers, IdleWorkersEndAtOnce) {
  for (int round = 0; round < 200; ++round) {
    CopyWorkers workers({.threads = 2, .queue_entries = 2, .spin_us = 0, .on_done = {}});
  }
}

}  // namespace
}  // namespace quire::tiering::copy_workers_test
