#include "cache/eviction/coarse_lru_policy.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using allocator::FlatArray;
using model::NodeId;

namespace {

// Sweeping out a handful of entries is not worth its pass over the heap.
constexpr uint64_t kStaleAllowed = 1024;

constexpr auto kSmall = allocator::ReservedMemory::Pages::kSmall;

}  // namespace

model::Result<std::unique_ptr<CoarseLruPolicy>> CoarseLruPolicy::create(uint64_t max_nodes) {
  // Node ids are handed out in runs: the last run may reach beyond max_nodes.
  FlatArray<uint64_t> stamps =
      QUIRE_TRY(FlatArray<uint64_t>::reserve(max_nodes / kRunNodes + 2, kSmall));
  FlatArray<uint64_t> waiting = QUIRE_TRY(FlatArray<uint64_t>::reserve(max_nodes / 64 + 2, kSmall));
  return std::unique_ptr<CoarseLruPolicy>(
      new CoarseLruPolicy(std::move(stamps), std::move(waiting)));
}

void CoarseLruPolicy::on_use(NodeId node) {
  end_of_nodes_ = std::max(end_of_nodes_, node.value + 1);
  stamp_of(node.value) = ++use_clock_;
}

void CoarseLruPolicy::on_child_removed(NodeId node, NodeId child) {
  stamp_of(node.value) = std::max(stamp_of(node.value), stamp_of(child.value));
}

void CoarseLruPolicy::on_evictable(NodeId node) {
  if (is_waiting(node.value)) return;
  end_of_nodes_ = std::max(end_of_nodes_, node.value + 1);
  set_waiting(node.value, true);
  push({stamp_of(node.value), node.value, 0});
}

void CoarseLruPolicy::on_done_with(NodeId node) {
  stamp_of(node.value) = ++done_clock_;
  if (!is_waiting(node.value)) return;
  push({stamp_of(node.value), node.value, 0});  // the older entry is skipped later
}

void CoarseLruPolicy::on_removed(NodeId node) {
  if (is_waiting(node.value)) set_waiting(node.value, false);
  if (heap_.size() > 2 * waiting_count_ + kStaleAllowed) sweep();
}

std::optional<NodeId> CoarseLruPolicy::take_victim() {
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), is_younger);
    Candidate top = heap_.back();
    heap_.pop_back();
    if (!is_waiting(top.node)) continue;
    if (top.stamp < stamp_of(top.node)) {
      top.stamp = stamp_of(top.node);
      push(top);
      continue;
    }
    set_waiting(top.node, false);
    return NodeId{top.node};
  }
  return std::nullopt;
}

uint64_t CoarseLruPolicy::resident_bytes() const {
  return stamps_.held_bytes(end_of_nodes_ / kRunNodes + 1) +
         waiting_.held_bytes(end_of_nodes_ / 64 + 1) + heap_.capacity() * sizeof(Candidate);
}

bool CoarseLruPolicy::is_younger(const Candidate& a, const Candidate& b) {
  return a.stamp != b.stamp ? a.stamp > b.stamp : a.node > b.node;
}

void CoarseLruPolicy::set_waiting(uint32_t node, bool waiting) {
  const uint64_t bit = uint64_t{1} << node % 64;
  waiting_[node / 64] = waiting ? waiting_[node / 64] | bit : waiting_[node / 64] & ~bit;
  waiting_count_ = waiting ? waiting_count_ + 1 : waiting_count_ - 1;
}

void CoarseLruPolicy::push(const Candidate& candidate) {
  heap_.push_back(candidate);
  std::push_heap(heap_.begin(), heap_.end(), is_younger);
}

// One entry stays for each waiting node: its oldest, which sinks by itself if it must.
void CoarseLruPolicy::sweep() {
  std::sort(heap_.begin(), heap_.end(), [](const Candidate& a, const Candidate& b) {
    return a.node != b.node ? a.node < b.node : a.stamp < b.stamp;
  });
  const auto last =
      std::unique(heap_.begin(), heap_.end(),
                  [](const Candidate& a, const Candidate& b) { return a.node == b.node; });
  heap_.erase(last, heap_.end());
  std::erase_if(heap_, [this](const Candidate& c) { return !is_waiting(c.node); });
  std::make_heap(heap_.begin(), heap_.end(), is_younger);
}

void CoarseLruPolicy::check_invariants() const {
  QUIRE_CHECK(std::is_heap(heap_.begin(), heap_.end(), is_younger));
  std::vector<uint32_t> nodes;
  for (const Candidate& candidate : heap_) {
    if (is_waiting(candidate.node)) nodes.push_back(candidate.node);
  }
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  QUIRE_CHECK(nodes.size() == waiting_count_);
}

}  // namespace quire::cache
