// Which of a conversation's checkpoints stay: its last turn end and, where the session asked for
// one, the deepest before its tail, from which the next turn may resume. Earlier ones are
// superseded, unless somebody may need them: a branch point, one that was kept on purpose, one at a
// distance that the session is asked for (every:N, all), another conversation's. Those leave by
// eviction.
// Threads: core only. No allocation.
#pragma once

#include <cstdint>

#include "cache/fill/cache_session.h"
#include "cache/objects/object_store.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"
#include "model/boundary.h"

namespace quire::cache {

class TurnEnds {
 public:
  TurnEnds(ObjectStore* store, NamespaceTable* names) : store_(store), names_(names) {}

  // A checkpoint of the session became visible. True: an earlier one was superseded by it.
  bool added(CacheSession& session, model::CheckpointReason reason, model::NodeId node);
  // Drops the session's checkpoint there; false when it is pinned, a branch point or absent.
  bool supersede(CacheSession& session, const ChainView& chain, uint32_t end_units);

 private:
  bool thin_turn_ends(const CacheSession& session, model::NodeId turn_end);
  bool replaceable(const CacheSession& session, model::NodeId checkpoint) const;

  ObjectStore* store_;
  NamespaceTable* names_;
};

}  // namespace quire::cache
