// What tests ask about single nodes of a prefix tree, so that no test reads how a node is stored.
//
// Above a whole cache use Inspector, which also knows pages and tiers; this is for tests whose
// subject is the tree itself. Lifetime: a view, the tree outlives it. Threads: those of the tree.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/tree/prefix_tree.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/ring_frames.h"

namespace quire::tests {

// One span, checkpoint or root, as it was when it was asked for.
struct ObjectState {
  uint32_t units = 0;                 // position of its end
  uint32_t pins = 0;                  // leases, session tips, transfers
  bool in_ram = false;                // its pages are in RAM
  bool on_ssd = false;                // a durable copy is on the SSD
  bool on_cluster = false;            // it is known that a copy is on the cluster
  bool moving = false;                // a transfer to or from the SSD is under way
  bool quarantined = false;           // never found again; goes with its last pin
  bool may_have_checkpoints = false;  // a checkpoint was added below; may be gone
};

class TreeInspector {
 public:
  explicit TreeInspector(cache::PrefixTree& tree) : tree_(tree) {}

  // As a match finds it: nullopt when it is absent or quarantined.
  std::optional<model::NodeId> find(model::RootId root, model::FillKind kind,
                                    const model::Hash256& hash) const;
  // Of any root, and quarantined ones too, by looking at all; an invalid id when there is none.
  model::NodeId find_anywhere(model::FillKind kind, const model::Hash256& hash) const;
  // Spans and checkpoints, quarantined ones too, in no order that means anything.
  std::vector<model::NodeId> objects() const;
  ObjectState object(model::NodeId node) const;
  uint64_t pin_count() const;     // of all nodes, roots too
  uint64_t moving_count() const;  // objects under way to or from the SSD

  // --- what only tests of the tree do by hand ---
  void pin(model::NodeId node);
  void set_owner_tag(model::NodeId checkpoint, uint32_t tag);

 private:
  template <typename Visit>
  void for_each_node(Visit&& visit) const;

  cache::PrefixTree& tree_;
};

}  // namespace quire::tests
