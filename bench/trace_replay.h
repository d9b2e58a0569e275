// One engine without a model: resumes, commits every span it lacks and every checkpoint that is
// wanted, a session a turn as engines open them. Pages are a few bytes; sizes keep V4's
// proportions.
#pragma once

#include <cstdint>

#include "bench/bench_daemon.h"
#include "bench/trace_source.h"

namespace quire::bench {

struct ReplayFigures {
  uint64_t requests = 0;
  uint64_t prompt_tokens = 0;
  uint64_t span_tokens = 0;            // that spans allow, at most the last resume point
  uint64_t exact_tokens = 0;           // resumed
  uint64_t limited_by_checkpoint = 0;  // requests
  uint64_t lost_tokens = 0;            // by these
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  uint64_t committed_bytes = 0;
  double exact_of_span() const {
    return span_tokens == 0 ? 0
                            : static_cast<double>(exact_tokens) / static_cast<double>(span_tokens);
  }
};

class TraceReplay {
 public:
  // `tail_tokens`: as client::SessionOptions has it.
  explicit TraceReplay(uint32_t tail_tokens);
  // The cache is emptied behind it: ids are the session's own.
  void replay(const TraceSession& session);
  ReplayFigures figures();

 private:
  void take_turn(const TraceRequest& request, uint64_t conversation);

  uint32_t tail_tokens_;
  BenchDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  uint64_t sessions_ = 0;
  ReplayFigures figures_;
};

}  // namespace quire::bench
