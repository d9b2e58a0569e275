#include "tiering/demotion/candidate_queue.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::tiering {

namespace {

constexpr uint32_t kSweptPerStep = 1024;  // nodes looked at: some microseconds of a turn

}  // namespace

bool lacks_copy(cache::Cache& cache, model::TierId tier, model::NodeId node) {
  const cache::Node& link = cache.store().tree().node(node);
  if (!link.is_object()) return false;
  return link.is_in_ram() && !link.is_in(tier) && !link.is_quarantined() && !link.is_superseded() &&
         !cache.names().root(link.root()).dead;
}

bool wants_copy(cache::Cache& cache, model::TierId tier, model::NodeId node) {
  return lacks_copy(cache, tier, node) && !cache.store().tree().node(node).is_moving();
}

bool CandidateQueue::add(const Candidate& candidate) {
  if (queue_.size() < max_count_) {
    queue_.push_back(candidate);
    return true;
  }
  sweep_due_ = true;
  return false;
}

Candidate CandidateQueue::take_first() {
  QUIRE_CHECK(!queue_.empty());
  const Candidate first = queue_.front();
  queue_.pop_front();
  return first;
}

// A queue that is filled to its bound by the sweep alone would turn away what is fresh: no more
// than one step takes.
uint32_t CandidateQueue::sweep(int64_t now_ns) {
  if (!sweeping_ && !sweep_due_) return 0;
  if (!sweeping_) {
    sweeping_ = std::exchange(sweep_due_, false);
    sweep_hand_ = 0;
  }
  uint32_t found = 0;
  const uint32_t end = cache_->store().tree().end_of_nodes();
  for (uint32_t looked = 0; looked < kSweptPerStep && sweep_hand_ < end; ++looked) {
    if (queue_.size() >= std::min(kAtOnce, max_count_)) return found;
    const model::NodeId node{sweep_hand_++};
    if (!wants_copy(*cache_, tier_, node)) continue;
    queue_.push_back({node, false, now_ns});
    ++found;
  }
  sweeping_ = sweep_hand_ < end;
  return found;
}

}  // namespace quire::tiering
