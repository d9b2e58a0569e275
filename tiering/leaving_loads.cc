#include "tiering/leaving_loads.h"

#include <algorithm>
#include <utility>

namespace quire::tiering {

void LeavingLoads::add(std::unique_ptr<LoadRecord> load) {
  ++queues_->domain(load->domain).leaving;
  loads_.push_back(std::move(load));
}

// Slots of nodes that were issued belong to their jobs. Deepest first: a quarantined node goes
// with its last pin, and then its parent may.
bool LeavingLoads::step(uint32_t nodes) {
  if (loads_.empty()) return false;
  while (nodes > 0 && !loads_.empty()) {
    LoadRecord& load = *loads_.front();
    LoadQueues::Domain& domain = queues_->domain(load.domain);
    const auto slots = static_cast<uint32_t>(std::min<size_t>(nodes, load.reserved - load.issued));
    memory_->give_back(load, slots);
    nodes -= slots;
    for (; nodes > 0 && !load.nodes.empty(); --nodes) {
      load.nodes.pop_back();
      --domain.nodes;
    }
    if (!load.nodes.empty()) break;
    --domain.leaving;
    queues_->maybe_forget(load.domain);
    loads_.pop_front();
  }
  return true;
}

}  // namespace quire::tiering
