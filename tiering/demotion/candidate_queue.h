// Who waits for a copy on a tier, in the order in which it is to be tried.
//
//   add --place--> queue --take_first--> tried          add_first: what cannot go now, or is urgent
//    \--none--> found again by a sweep over what is in RAM without a copy
//
// 1. Whoever was refused a place is found: a sweep that began before it was is followed by another.
// 2. Nodes are only named: one may be gone, or have a copy by now, when it is taken. wants_copy()
//    tells.
// Threads: core only. Bound: max_count candidates, and beyond it those that were taken and came
// back; a sweep looks at a bounded number of nodes a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "cache/cache.h"
#include "model/ids.h"

namespace quire::tiering {

struct Candidate {
  model::NodeId node;
  bool batch = false;  // written by a session of the batch class
  int64_t since_ns = 0;
};

// The node is an object in RAM that somebody may still hit, and has no copy on the tier; and is not
// on its way, to whatever tier.
bool lacks_copy(cache::Cache& cache, model::TierId tier, model::NodeId node);
bool wants_copy(cache::Cache& cache, model::TierId tier, model::NodeId node);

class CandidateQueue {
 public:
  // That one step takes.
  static constexpr size_t kAtOnce = 256;

  CandidateQueue(cache::Cache* cache, model::TierId tier, size_t max_count)
      : cache_(cache), tier_(tier), max_count_(max_count) {}

  // False: there is no place, and a sweep is due.
  bool add(const Candidate& candidate);
  void add_first(const Candidate& candidate) { queue_.push_front(candidate); }
  // Precondition: not empty.
  Candidate take_first();
  // The first has waited for so long.
  bool is_due(int64_t now_ns, int64_t delay_ns) const {
    return !queue_.empty() && now_ns - queue_.front().since_ns >= delay_ns;
  }

  // Somebody wants a copy whom nobody added.
  void sweep_soon() { sweep_due_ = true; }
  // One step of a sweep, if one is due and the queue has little. Returns how many it found; some of
  // these may be candidates already, and are written once.
  uint32_t sweep(int64_t now_ns);

  bool is_sweeping() const { return sweeping_ || sweep_due_; }
  // The first one's time, as a rule the earliest. Precondition: not empty.
  int64_t first_since_ns() const { return queue_.front().since_ns; }
  bool empty() const { return queue_.empty(); }
  size_t size() const { return queue_.size(); }
  // Nobody waits, and nobody is to be found.
  bool idle() const { return queue_.empty() && !is_sweeping(); }

 private:
  cache::Cache* cache_;
  model::TierId tier_;
  size_t max_count_;
  std::deque<Candidate> queue_;
  bool sweep_due_ = false;  // from the first node on, after the one that is under way
  bool sweeping_ = false;
  uint32_t sweep_hand_ = 0;  // node id
};

}  // namespace quire::tiering
