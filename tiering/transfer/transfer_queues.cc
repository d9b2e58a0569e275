#include "tiering/transfer/transfer_queues.h"

#include <numeric>

#include "model/check.h"

namespace quire::tiering {

void TransferQueues::push(Transfer& transfer) {
  const auto at = static_cast<size_t>(transfer.priority);
  queued_bytes_[at] += transfer.stored_bytes;
  if (!transfer.ops.empty()) queues_[at].push_back(&transfer);
}

Transfer* TransferQueues::front(TransferClass one) const {
  const std::deque<Transfer*>& queue = queues_[static_cast<size_t>(one)];
  return queue.empty() ? nullptr : queue.front();
}

bool TransferQueues::may_issue(TransferClass one, uint64_t bytes) const {
  // An operation larger than every bound goes alone.
  if (bytes_in_flight_ == 0) return true;
  if (bytes_in_flight_ + bytes > limits_.max_bytes) return false;
  const uint64_t own = class_bytes_[static_cast<size_t>(one)];
  const uint64_t interactive = queued_bytes_of(TransferClass::kInteractive);
  if (own == 0) return true;
  switch (one) {
    case TransferClass::kInteractive: {
      // Loads that never pause must not keep the others from going on for ever.
      const bool others = queued_bytes() > interactive;
      return !others || own + bytes <= limits_.max_bytes / 4 * 3;
    }
    case TransferClass::kDemote:
      return own + bytes <= (interactive > 0 ? limits_.demote_bytes / 2 : limits_.demote_bytes);
    default:
      return own + bytes <= limits_.batch_bytes;
  }
}

void TransferQueues::issued(TransferClass one, uint64_t bytes) {
  bytes_in_flight_ += bytes;
  class_bytes_[static_cast<size_t>(one)] += bytes;
}

void TransferQueues::finished(TransferClass one, uint64_t bytes) {
  bytes_in_flight_ -= bytes;
  class_bytes_[static_cast<size_t>(one)] -= bytes;
  queued_bytes_[static_cast<size_t>(one)] -= bytes;
}

uint64_t TransferQueues::queued_bytes() const {
  return std::accumulate(queued_bytes_.begin(), queued_bytes_.end(), uint64_t{0});
}

void TransferQueues::check_invariants() const {
  uint64_t in_flight = 0;
  for (size_t at = 0; at < kTransferClasses; ++at) {
    QUIRE_CHECK(class_bytes_[at] <= queued_bytes_[at]);
    in_flight += class_bytes_[at];
  }
  QUIRE_CHECK(in_flight == bytes_in_flight_);
}

}  // namespace quire::tiering
