// Empties one segment of a domain: of its emptiest ones that which costs the fewest objects.
//
//   begin --weighing: each candidate's nodes, and what depends on them--> emptying --> retired
//        \--each has something pinned, or being written: none       \--pinned meanwhile: none
//
// Only what lies in the segment, and depends on that, is evicted; nothing is while something in it
// is pinned. Work goes in bounded steps. Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <vector>

#include "allocator/pool.h"
#include "model/ids.h"

namespace quire::cache {

class ObjectStore;

class SegmentEmptier {
 public:
  explicit SegmentEmptier(ObjectStore* store) : store_(store) {}

  void begin(model::DomainId donor);
  // A segment is being weighed or emptied.
  bool is_busy() const { return phase_ != Phase::kNone; }
  // Precondition: is_busy(). When it is no more, what was retired; nothing: no segment may go.
  std::optional<allocator::Pool::Retired> step();

 private:
  enum class Phase : uint8_t { kNone, kWeighing, kEmptying };

  bool next_candidate();
  bool gather();
  void weigh();
  bool weigh_node(model::NodeId node);
  void finish_weighing();
  std::optional<allocator::Pool::Retired> empty();
  bool empty_node(model::NodeId node, uint32_t& budget);
  bool stays_below(model::NodeId node) const;
  bool may_go(model::NodeId node) const;
  bool lies_here(model::NodeId node) const;
  void give_up();

  ObjectStore* store_;
  Phase phase_ = Phase::kNone;
  model::DomainId donor_;
  std::vector<model::SegmentId> candidates_;  // emptiest last
  model::SegmentId segment_;                  // weighed or emptied now
  std::vector<model::NodeId> nodes_;          // with pages in it
  size_t next_node_ = 0;
  std::vector<model::NodeId> open_;    // weighing: to be looked at; emptying: a path
  std::unordered_set<uint32_t> seen_;  // weighing: would go
  model::SegmentId best_;
  size_t best_cost_ = 0;
};

}  // namespace quire::cache
