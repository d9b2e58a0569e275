// Copy workers: threads that move bytes from staging to the pool with crc_copy().
//
// One bounded SPSC queue to each worker and one back (core is the other end of all of them); a task
// goes to the worker with the shortest queue. A worker gives clients turns, a piece of a task each,
// so that one who sends thousands of tasks, or huge pages, delays another by a piece. Workers spin
// briefly, then sleep (model/helper_thread.h). A worker counts as full while queue_entries of its
// tasks were submitted and not yet polled.
// Threads: submit, poll, in_flight by the core only. Lifetime: the destructor finishes what was
// submitted, then joins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tiering/io/copy_engine.h"

namespace quire::tiering {

struct CopyWorkersOptions {
  uint32_t threads = 1;           // where the system has no more, fewer; at least one
  uint32_t queue_entries = 1024;  // per worker, power of two
  uint32_t spin_us = 20;          // before a worker sleeps
  bool background = false;        // gives way to other threads: no preemption when it wakes
  std::function<void()> on_done;  // on a worker thread, after each finished task; must only wake
};

class CopyWorkers final : public CopyEngine {
 public:
  explicit CopyWorkers(CopyWorkersOptions options);
  ~CopyWorkers() override;
  bool submit(CopyTask* task) override;
  size_t poll(std::span<CopyTask*> done) override;
  size_t in_flight() const override;

 private:
  class Worker;

  const CopyWorkersOptions options_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace quire::tiering
