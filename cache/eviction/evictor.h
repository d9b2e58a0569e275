// The only one who asks the board who should go, and makes it go.
//
// From RAM a node leaves for a lower tier where it is durable, else for good; from a lower tier its
// copy goes, and the node with it when that was its last. Threads: core only.
#pragma once

#include <cstdint>

#include "cache/eviction/eviction_board.h"
#include "cache/objects/object_store.h"
#include "model/ids.h"
#include "model/metrics.h"

namespace quire::cache {

class Evictor {
 public:
  Evictor(ObjectStore* store, EvictionBoard* board) : store_(store), board_(board) {}

  // Of the domain's own in RAM. False: nothing may go.
  bool evict_from_ram(model::DomainId domain);
  // Over all domains; returns how many went. 0 = everything that may go.
  uint64_t evict(uint64_t count);
  // A copy below RAM. False: none may go.
  bool evict_copy(model::TierId tier);
  // Who would leave RAM next, withdrawn: offered again with its next unpin. None: nobody.
  model::NodeId take_ram_victim(model::DomainId domain);
  // Copies that evict_copy() gave up.
  const model::Counter& evicted_copies() const { return evicted_copies_; }

 private:
  ObjectStore* store_;
  EvictionBoard* board_;
  model::Counter evicted_copies_{"evicted_copies", "Copies given up to make room on the device"};
};

}  // namespace quire::cache
