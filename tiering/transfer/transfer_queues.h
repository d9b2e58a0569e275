// Whose operations go to the device next, and how many bytes of each class may be there at once.
//
//   push: queued --may_issue, issued--> in flight (and queued still) --finished--> neither
//
// Classes go in their order, transfers of a class in that of push(). Batch loads keep at most
// batch_bytes in flight, so that the first span of an interactive load waits for little; demotion
// gives way to loads in the same manner, and loads leave the others a quarter. A class with
// nothing in flight may always issue one operation, unless the device has max_bytes: none starves.
// Invariant: bytes in flight of a class are part of its queued ones. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "tiering/transfer/ssd_transfer.h"

namespace quire::tiering {

struct QueueLimits {
  uint64_t max_bytes = 32ull << 20;     // in flight, all classes
  uint64_t demote_bytes = 12ull << 20;  // of demotion; half of it while interactive loads wait
  uint64_t batch_bytes = 2ull << 20;    // of batch loads, and of a scrub
};

class TransferQueues {
 public:
  explicit TransferQueues(const QueueLimits& limits) : limits_(limits) {}

  // Its operations are planned, and its stored_bytes counts them all; those may be none.
  void push(Transfer& transfer);
  // The one of this class that hands out operations; null: none.
  Transfer* front(TransferClass one) const;
  // Its last operation is handed out.
  void pop(TransferClass one) { queues_[static_cast<size_t>(one)].pop_front(); }

  bool may_issue(TransferClass one, uint64_t bytes) const;
  void issued(TransferClass one, uint64_t bytes);
  void finished(TransferClass one, uint64_t bytes);

  // Pushed and not finished.
  uint64_t queued_bytes_of(TransferClass one) const {
    return queued_bytes_[static_cast<size_t>(one)];
  }
  uint64_t queued_bytes() const;  // of all classes
  uint64_t bytes_in_flight() const { return bytes_in_flight_; }
  void check_invariants() const;

 private:
  QueueLimits limits_;
  std::array<std::deque<Transfer*>, kTransferClasses> queues_;  // have operations to hand out
  std::array<uint64_t, kTransferClasses> class_bytes_{};        // in flight
  std::array<uint64_t, kTransferClasses> queued_bytes_{};
  uint64_t bytes_in_flight_ = 0;
};

}  // namespace quire::tiering
