// RAM for loads: a load takes all it needs before it starts, one load of a domain at a time, so
// that two can never hold half of each other's memory.
//
// Threads: core only. No state: what a load holds stands in its record. Lifetime: the cache
// outlives it.
#pragma once

#include <cstdint>

#include "cache/cache.h"
#include "model/ids.h"
#include "tiering/load_record.h"

namespace quire::tiering {

class LoadMemory {
 public:
  explicit LoadMemory(cache::Cache* cache) : cache_(cache) {}

  // kWaiting: memory is on its way. kNoRoom: nothing that it could have may go, and none comes.
  enum class Reserved : uint8_t { kDone, kMore, kWaiting, kNoRoom };
  // Slots for the next nodes, `nodes` at most. Adds to `shared` those that another load brings.
  Reserved reserve(LoadRecord& load, uint32_t nodes, uint64_t& shared);
  // The last slots that it got, of `nodes` nodes at most. True: it has none.
  bool give_back(LoadRecord& load, uint32_t nodes);
  // Slots of a node that are not needed any more. Precondition: it is reserved, and not issued.
  void free_slots(const LoadRecord& load, size_t index);
  // It ended: what it brought is used by whoever has it pinned, and no more by the load.
  void end_use(LoadRecord& load);
  // Not in RAM, nor on its way to it.
  bool needs_slots(model::NodeId node) const;
  // kResourceExhausted: the tenant can never hold so much at a time.
  model::Result<void> check_fits(model::TenantId tenant, uint64_t bytes) const;

 private:
  void use(LoadRecord& load, model::NodeId node, bool more);
  bool reserve_node(LoadRecord& load, model::NodeId node, Reserved& outcome);

  cache::Cache* cache_;
};

}  // namespace quire::tiering
