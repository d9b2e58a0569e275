// Leases: clients' rights to pinned pages. Records are reused, and found by an id that
// carries a generation, so that a released or foreign id is kNotFound and a double release
// harmless. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <utility>

#include "cache/fill/cache_session.h"
#include "cache/objects/pin.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

inline constexpr uint32_t kMaxLeases = 1 << 16;    // of the daemon
inline constexpr uint32_t kMaxLoadsPerLease = 16;  // pieces an engine asks for one by one

struct Lease {
  Pin span;                  // keeps the whole path present
  model::NodeId exact_node;  // on that path, where the hit ends
  Pin checkpoint;
  Pin checkpoint_pages;  // from its load on
  PathHold path;         // from its first load on; where no tier is below RAM, from the match on
  uint32_t load_count = 0;
  uint32_t under_way = 0;                           // loads of it that did not end
  bool ending = false;                              // being released, in pieces
  uint32_t turn = 0;                                // the caller's: to whom loads of it are counted
  std::array<PathPins, kMaxLoadsPerLease> loads{};  // spans that were loaded
  // Of these, by load: pinned where they lay in RAM, which uses up its session's reservation.
  std::array<uint32_t, kMaxLoadsPerLease> spans_used{};

  uint32_t generation = 0;  // odd while in use
  uint32_t previous = 0;    // index + 1, holder's list
  uint32_t next = 0;        // index + 1, holder's list or free list
  LeaseHolder* holder = nullptr;
};

class LeaseTable {
 public:
  // kBusy at a bound.
  model::Result<model::LeaseId> add(LeaseHolder& holder);
  // Null unless the id is live and the holder's own.
  Lease* find(model::LeaseId id, const LeaseHolder& holder);
  // Precondition: live. What it pins is let go before this returns.
  void remove(model::LeaseId id);
  // Any lease of the holder; none id when it has none.
  model::LeaseId first(const LeaseHolder& holder) const;
  uint32_t count() const { return count_; }
  // A load of it begins or ends (LoadHold).
  void count_load(model::LeaseId id, bool begins);

 private:
  Lease* find(model::LeaseId id);

  std::deque<Lease> leases_;  // grows to the most that there were; records stay where they are
  uint32_t free_head_ = 0;    // index + 1
  uint32_t count_ = 0;
};

// While one lives the lease cannot be released: a load of it is being written. The table outlives
// it. Move-only.
class LoadHold {
 public:
  LoadHold() = default;
  LoadHold(LeaseTable* leases, model::LeaseId lease) : leases_(leases), lease_(lease) {
    leases_->count_load(lease_, true);
  }
  // Moves take the hold along.
  LoadHold(LoadHold&& other) noexcept { swap(other); }
  LoadHold& operator=(LoadHold&& other) noexcept {
    LoadHold taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~LoadHold() { reset(); }

  // The load has ended. A lease that went meanwhile, with its holder, is no error.
  void reset() {
    if (lease_.valid()) leases_->count_load(std::exchange(lease_, {}), false);
  }

 private:
  void swap(LoadHold& other) noexcept {
    std::swap(leases_, other.leases_);
    std::swap(lease_, other.lease_);
  }

  LeaseTable* leases_ = nullptr;
  model::LeaseId lease_;
};

}  // namespace quire::cache
