// Least recently used leaf first. A use only writes a stamp; candidates wait in a heap by the stamp
// they had when they entered it. A candidate that reaches the top with a stamp that has moved on is
// sifted down and the next one is looked at, so the order is exact LRU at O(log n) an eviction and
// O(1) a use.
//
// Invariants (check_invariants): a node is in the heap at most once and knows its place there; a
// heap entry's stamp is never above the node's own (a use raises only the node's; done_with, which
// lowers it, moves the entry at once), so the top after refreshing is the oldest of all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "allocator/flat_array.h"
#include "cache/eviction/eviction_policy.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

class LruPolicy final : public EvictionPolicy {
 public:
  static model::Result<std::unique_ptr<LruPolicy>> create(uint64_t max_nodes);

  void on_use(model::NodeId node) override;
  void on_child_removed(model::NodeId node, model::NodeId child) override;
  void on_evictable(model::NodeId node) override;
  void on_done_with(model::NodeId node) override;
  void on_removed(model::NodeId node) override;
  std::optional<model::NodeId> take_victim() override;
  uint64_t resident_bytes() const override;
  void check_invariants() const;

 private:
  // Uses count up from here; done_with counts up from 1, so that it always comes first.
  static constexpr uint64_t kFirstUse = 1ull << 62;
  // Four children to a place: half the levels of a binary heap, and with three places left out in
  // front, siblings share a cache line.
  static constexpr uint32_t kArity = 4;
  static constexpr uint32_t kPadding = 3;

  struct Candidate {
    uint64_t stamp;
    uint32_t node;
    uint32_t reserved;
  };
  static_assert(sizeof(Candidate) * kArity == 64);

  LruPolicy(allocator::FlatArray<uint64_t> stamps, allocator::FlatArray<uint32_t> places,
            allocator::FlatArray<Candidate> candidates);

  static constexpr uint32_t kBlockNodes = 1 << 18;  // 2 MiB of stamps, 1 MiB of places

  static bool is_older(const Candidate& a, const Candidate& b);
  Candidate& at(uint32_t place) { return candidates_[place + kPadding]; }
  const Candidate& at(uint32_t place) const { return candidates_[place + kPadding]; }
  void put(uint32_t place, const Candidate& candidate);
  void sift_up(uint32_t place, const Candidate& candidate);
  void sift_down(uint32_t place, const Candidate& candidate);
  void erase(uint32_t place);
  void note(model::NodeId node);

  allocator::FlatArray<uint64_t> stamps_;       // by node; 0 = never used
  allocator::FlatArray<uint32_t> places_;       // by node: place in the heap + 1, 0 = not there
  allocator::FlatArray<Candidate> candidates_;  // heap, oldest first
  uint32_t candidate_count_ = 0;
  uint32_t most_candidates_ = 0;
  // Node ids of one domain come from anywhere: which blocks of them were touched, for status.
  std::vector<bool> touched_;
  uint32_t touched_count_ = 0;
  uint64_t use_clock_ = kFirstUse;
  uint64_t done_clock_ = 0;
};

}  // namespace quire::cache
