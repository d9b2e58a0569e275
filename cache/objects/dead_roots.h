// The nodes of dead roots go in the background, a bounded number of steps a turn.
//
// A sweep walks each dead root in post-order and drops what nobody holds. It goes on where the last
// call stopped; when it has been everywhere, the next one starts once something changed.
// Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/tree/namespace_table.h"
#include "model/ids.h"

namespace quire::cache {

class ObjectStore;

class DeadRoots {
 public:
  DeadRoots(ObjectStore* store, NamespaceTable* names) : store_(store), names_(names) {}

  // Drops what nobody holds, in about `budget` steps. True while there is something to do.
  bool reclaim(uint32_t budget);
  // Forgets a root that nobody uses and that has no nodes.
  void maybe_forget(model::RootId root);
  // A node of this root lost its last pin.
  void note_unpinned(model::RootId root);
  // A node is about to be removed.
  void note_leaving(model::NodeId node);

 private:
  bool is_dead(model::RootId root) const;
  bool next_sweep();
  void sweep_node();

  ObjectStore* store_;
  NamespaceTable* names_;
  model::NodeId at_;      // to be looked at next; none: the next root's
  bool leaving_ = false;  // its children have been looked at
  size_t next_ = 0;       // index in NamespaceTable::dead_roots(): the root after this one
  size_t known_ = 0;      // dead roots when the last sweep of all began
  bool changed_ = false;  // since then: a pin or a node of a dead root went
};

}  // namespace quire::cache
