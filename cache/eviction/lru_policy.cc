#include "cache/eviction/lru_policy.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using allocator::FlatArray;
using model::NodeId;
using model::Result;

LruPolicy::LruPolicy(FlatArray<uint64_t> stamps, FlatArray<uint32_t> places,
                     FlatArray<Candidate> candidates)
    : stamps_(std::move(stamps)),
      places_(std::move(places)),
      candidates_(std::move(candidates)),
      touched_(stamps_.max_count() / kBlockNodes + 1) {}

Result<std::unique_ptr<LruPolicy>> LruPolicy::create(uint64_t max_nodes) {
  // Node ids are handed out in runs: the last run may reach beyond max_nodes.
  const uint64_t ids = max_nodes + 16;
  FlatArray<uint64_t> stamps = QUIRE_TRY(FlatArray<uint64_t>::reserve(ids));
  FlatArray<uint32_t> places = QUIRE_TRY(FlatArray<uint32_t>::reserve(ids));
  FlatArray<Candidate> candidates = QUIRE_TRY(FlatArray<Candidate>::reserve(ids + kPadding));
  return std::unique_ptr<LruPolicy>(
      new LruPolicy(std::move(stamps), std::move(places), std::move(candidates)));
}

void LruPolicy::note(NodeId node) {
  std::vector<bool>::reference touched = touched_[node.value / kBlockNodes];
  if (touched) return;
  touched = true;
  ++touched_count_;
}

void LruPolicy::on_use(NodeId node) {
  note(node);
  stamps_[node.value] = ++use_clock_;
}

void LruPolicy::on_child_removed(NodeId node, NodeId child) {
  stamps_[node.value] = std::max(stamps_[node.value], stamps_[child.value]);
}

void LruPolicy::on_evictable(NodeId node) {
  if (places_[node.value] != 0) return;
  note(node);
  most_candidates_ = std::max(most_candidates_, candidate_count_ + 1);
  sift_up(candidate_count_++, Candidate{stamps_[node.value], node.value, 0});
}

void LruPolicy::on_done_with(NodeId node) {
  stamps_[node.value] = ++done_clock_;
  const uint32_t place = places_[node.value];
  if (place == 0) return;
  // The entry's stamp may also rise: done with twice.
  const Candidate candidate{stamps_[node.value], node.value, 0};
  if (is_older(candidate, at(place - 1))) {
    sift_up(place - 1, candidate);
  } else {
    sift_down(place - 1, candidate);
  }
}

void LruPolicy::on_removed(NodeId node) {
  if (places_[node.value] != 0) erase(places_[node.value] - 1);
  stamps_[node.value] = 0;
}

std::optional<NodeId> LruPolicy::take_victim() {
  while (candidate_count_ > 0) {
    const Candidate top = at(0);
    const uint64_t stamp = stamps_[top.node];
    if (stamp == top.stamp) {
      erase(0);
      return NodeId{top.node};
    }
    sift_down(0, Candidate{stamp, top.node, 0});
  }
  return std::nullopt;
}

uint64_t LruPolicy::resident_bytes() const {
  constexpr uint64_t kBlockBytes = kBlockNodes * (sizeof(uint64_t) + sizeof(uint32_t));
  return touched_count_ * kBlockBytes +
         candidates_.held_bytes(most_candidates_ == 0 ? 0 : most_candidates_ + kPadding);
}

// Nodes that were never used are told apart by id, so that a run can be repeated.
bool LruPolicy::is_older(const Candidate& a, const Candidate& b) {
  return a.stamp != b.stamp ? a.stamp < b.stamp : a.node < b.node;
}

void LruPolicy::put(uint32_t place, const Candidate& candidate) {
  at(place) = candidate;
  places_[candidate.node] = place + 1;
}

void LruPolicy::sift_up(uint32_t place, const Candidate& candidate) {
  while (place > 0) {
    const uint32_t above = (place - 1) / kArity;
    if (!is_older(candidate, at(above))) break;
    put(place, at(above));
    place = above;
  }
  put(place, candidate);
}

void LruPolicy::sift_down(uint32_t place, const Candidate& candidate) {
  while (true) {
    const uint64_t first = uint64_t{place} * kArity + 1;
    if (first >= candidate_count_) break;
    const uint32_t end =
        static_cast<uint32_t>(std::min<uint64_t>(first + kArity, candidate_count_));
    uint32_t oldest = static_cast<uint32_t>(first);
    for (uint32_t child = oldest + 1; child < end; ++child) {
      if (is_older(at(child), at(oldest))) oldest = child;
    }
    if (!is_older(at(oldest), candidate)) break;
    put(place, at(oldest));
    place = oldest;
  }
  put(place, candidate);
}

// The last candidate takes the place of the erased one.
void LruPolicy::erase(uint32_t place) {
  places_[at(place).node] = 0;
  const Candidate last = at(--candidate_count_);
  if (place == candidate_count_) return;
  if (place > 0 && is_older(last, at((place - 1) / kArity))) {
    sift_up(place, last);
  } else {
    sift_down(place, last);
  }
}

void LruPolicy::check_invariants() const {
  for (uint32_t place = 0; place < candidate_count_; ++place) {
    const Candidate& candidate = at(place);
    QUIRE_CHECK(places_[candidate.node] == place + 1);
    QUIRE_CHECK(candidate.stamp <= stamps_[candidate.node]);
    QUIRE_CHECK(place == 0 || !is_older(candidate, at((place - 1) / kArity)));
  }
}

}  // namespace quire::cache
