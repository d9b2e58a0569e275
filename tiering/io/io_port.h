// The one way to an engine for all who submit to it, and the way back: what has finished waits at
// its client (IoOp::client) until that takes it.
//
//   submit_first() --waits for a place--> engine --poll()--> client --> take()
//   submit() ---------------------------^
//
// Completions only enqueue: no client runs inside poll(), and none sees another's. Threads: core
// only. Bounds: the engine's depth; who submits first has a bound of its own (a sync a file, an
// allocation, a hole, a probe).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/io/io_engine.h"

namespace quire::tiering {

// One who submits. Lifetime: outlives the operations that name it.
class IoClient {
 public:
  IoClient() = default;
  IoClient(const IoClient&) = delete;
  IoClient& operator=(const IoClient&) = delete;

  // What has come back since the last call, in the order in which it did; lent until the next one.
  std::span<IoOp* const> take();

 private:
  friend class IoPort;
  std::vector<IoOp*> done_;
  std::vector<IoOp*> taken_;
};

class IoPort {
 public:
  IoPort(IoEngine* engine, const model::Clock* clock) : engine_(engine), clock_(clock) {}

  // Never refused: goes before all that submit() takes after the next hand_over(), in order.
  void submit_first(IoOp* op);
  // False: the engine is full; nothing was taken.
  bool submit(IoOp* op);
  // Gives the engine what was to go first, as far as it has places.
  void hand_over();
  void flush() { engine_->flush(); }
  // Brings what has finished to its clients. True: something had.
  bool poll();

  // Of what was to go first, one that has been with the engine for `hang_ns` and was not told
  // before: for how long.
  std::optional<int64_t> next_hung(int64_t now_ns, int64_t hang_ns);

  // A row a kind of operation: from the engine's taking it to the poll that found it done.
  void describe(model::MetricSink& sink) const;

 private:
  struct First {
    const IoOp* op = nullptr;
    int64_t since_ns = 0;
    bool told = false;  // that it hangs
  };

  IoEngine* engine_;
  const model::Clock* clock_;
  std::deque<IoOp*> waiting_;  // to go first, not handed over
  std::vector<First> firsts_;  // handed over, not back
  std::array<model::TimeHistogram, kIoKinds> times_;
};

}  // namespace quire::tiering
