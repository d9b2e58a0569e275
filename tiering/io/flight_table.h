// Operations in flight in the kernel, by an identity that is never used twice.
//
// 1. Each attempt of an operation has an id of its own: generation << 32 | place. A completion
//    finds its operation only while that very attempt is outstanding; any other is stale.
// 2. EINTR and EAGAIN ask for another attempt, at most kMaxRetries of them, then are the result.
// 3. An operation leaves the table once, with its out fields set: all of its bytes, or an error.
// Threads: one. Allocates at construction only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tiering/io/io_engine.h"

namespace quire::tiering {

class FlightTable {
 public:
  static constexpr uint32_t kMaxRetries = 16;

  enum class Verdict : uint8_t {
    kStale,  // of no attempt in flight: counted, nothing to do
    kRetry,  // submit `op` again under `id`
    kDone,   // `op` is finished and no longer in flight
  };
  struct Outcome {
    Verdict verdict = Verdict::kStale;
    IoOp* op = nullptr;
    uint64_t id = 0;
  };

  explicit FlightTable(uint32_t places);
  FlightTable(const FlightTable&) = delete;
  FlightTable& operator=(const FlightTable&) = delete;

  size_t size() const { return places_.size() - free_.size(); }
  bool full() const { return free_.empty(); }
  uint64_t stale_count() const { return stale_count_; }

  // Takes a place and returns the first attempt's id. Precondition: not full().
  uint64_t add(IoOp* op);
  // `result`: bytes, or a negative errno, as the kernel gives them.
  Outcome complete(uint64_t id, int64_t result);
  // Ends an attempt that never reached the kernel, without another one.
  Outcome fail(uint64_t id, int error);

 private:
  struct Place {
    IoOp* op = nullptr;       // none: free
    uint32_t generation = 0;  // of the attempt in flight; counts up with every attempt
    uint32_t retries = 0;
  };

  Place* find(uint64_t id);
  Outcome finish(Place* place, int error, uint64_t transferred);
  uint64_t next_id(Place* place);

  std::vector<Place> places_;
  std::vector<uint32_t> free_;
  uint64_t stale_count_ = 0;
};

}  // namespace quire::tiering
