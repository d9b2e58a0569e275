// Least recently used leaf first, for tiers that hold far more nodes than RAM does: uses are kept
// per run of 16 nodes, which one session fills, not per node. Within a run the order is that of
// becoming a candidate. 0.6 B a node and 16 B a candidate, where LruPolicy takes 12 B and 16 B.
//
// A candidate waits in a heap by the stamp it had when it entered; at the top it is compared with
// its run's stamp of today and sinks if that moved on. A node that was removed leaves its entry
// behind; such entries are skipped, and swept out before they outnumber the others.
// Threads: core only. Allocates when the number of candidates reaches a new maximum.
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

class CoarseLruPolicy final : public EvictionPolicy {
 public:
  static model::Result<std::unique_ptr<CoarseLruPolicy>> create(uint64_t max_nodes);

  void on_use(model::NodeId node) override;
  void on_child_removed(model::NodeId node, model::NodeId child) override;
  void on_evictable(model::NodeId node) override;
  void on_done_with(model::NodeId node) override;
  void on_removed(model::NodeId node) override;
  std::optional<model::NodeId> take_victim() override;
  uint64_t resident_bytes() const override;
  void check_invariants() const;

 private:
  static constexpr uint32_t kRunNodes = 16;
  static constexpr uint64_t kFirstUse = 1ull << 62;  // what is done with stays below

  struct Candidate {
    uint64_t stamp;
    uint32_t node;
    uint32_t reserved;
  };
  static bool is_younger(const Candidate& a, const Candidate& b);

  CoarseLruPolicy(allocator::FlatArray<uint64_t> stamps, allocator::FlatArray<uint64_t> waiting)
      : stamps_(std::move(stamps)), waiting_(std::move(waiting)) {}
  uint64_t& stamp_of(uint32_t node) { return stamps_[node / kRunNodes]; }
  bool is_waiting(uint32_t node) const { return (waiting_[node / 64] >> node % 64 & 1) != 0; }
  void set_waiting(uint32_t node, bool waiting);
  void push(const Candidate& candidate);
  void sweep();

  allocator::FlatArray<uint64_t> stamps_;   // by run
  allocator::FlatArray<uint64_t> waiting_;  // a bit a node: it has a valid entry in the heap
  std::vector<Candidate> heap_;             // oldest first; may hold entries of removed nodes
  uint64_t waiting_count_ = 0;
  uint32_t end_of_nodes_ = 0;  // those seen so far are below
  uint64_t use_clock_ = kFirstUse;
  uint64_t done_clock_ = 0;
};

}  // namespace quire::cache
