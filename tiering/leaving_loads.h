// Loads that ended, and what they still hold: pins of their nodes, slots that no job has. All of it
// goes in steps, for a load may have a million nodes. Threads: core only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "tiering/load_memory.h"
#include "tiering/load_queues.h"
#include "tiering/load_record.h"

namespace quire::tiering {

class LeavingLoads {
 public:
  LeavingLoads(LoadMemory* memory, LoadQueues* queues) : memory_(memory), queues_(queues) {}

  // Precondition: it stands in no queue.
  void add(std::unique_ptr<LoadRecord> load);
  // Lets `nodes` of them go at most. False: there was none.
  bool step(uint32_t nodes);
  bool empty() const { return loads_.empty(); }

 private:
  LoadMemory* memory_;
  LoadQueues* queues_;
  std::deque<std::unique_ptr<LoadRecord>> loads_;
};

}  // namespace quire::tiering
