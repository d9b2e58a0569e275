// What the device and the manifest will say of a run: its record, and the header before each of its
// objects. A header repeats all that a rebuild needs of the record, so either is enough to find the
// object again.
//
// Gives each object a generation, which nobody ever gave out before: a copy that is read is known
// by it from what the slot held earlier. Threads: core only.
#pragma once

#include <array>
#include <cstdint>

#include "cache/cache.h"
#include "model/ids.h"
#include "tiering/disk/ssd_roots.h"
#include "tiering/space/ssd_space.h"
#include "tiering/transfer/ssd_transfer.h"

namespace quire::tiering {

struct RunDescriberParts {
  cache::Cache* cache = nullptr;
  SsdRoots* roots = nullptr;
  const SsdSpace* space = nullptr;
  std::array<uint8_t, 16> instance{};  // of the directory
};

class RunDescriber {
 public:
  RunDescriber(const RunDescriberParts& parts, uint64_t first_generation)
      : parts_(parts), next_generation_(first_generation) {}

  // Of a start that was counted late. Precondition: nothing was described yet.
  void set_first_generation(uint64_t generation) { next_generation_ = generation; }
  // The record of a run of `count` objects in the transfer's slots, the first of which is `node`.
  void begin_run(Transfer& transfer, model::NodeId node, uint32_t count);
  // The object's header, and its key in the record. Precondition: begin_run(), and that the object
  // was added to the transfer; objects in order.
  void add(Transfer& transfer, uint32_t object);

 private:
  RunDescriberParts parts_;
  uint64_t next_generation_;
};

}  // namespace quire::tiering
