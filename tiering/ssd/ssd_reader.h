// Reads objects from slots of the device to RAM: cuts what a load wants into runs of adjacent
// slots, hands them to the mover, and tells what became of each object. Threads: core only. Bound:
// the mover's records.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/cache.h"
#include "tiering/space/ssd_files.h"
#include "tiering/tier.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

class SsdReader {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    SsdMover* mover = nullptr;
    StoredForms* forms = nullptr;
    SsdFiles* files = nullptr;
  };
  // `events`: where it says what became of objects.
  SsdReader(const Parts& parts, std::vector<TierEvent>* events) : parts_(parts), events_(events) {}

  // As Tier's.
  model::Result<uint32_t> read(const ReadRun& run);
  void on_settled(Transfer& transfer, uint32_t object);

 private:
  uint32_t run_length(std::span<const ReadObject> objects) const;

  Parts parts_;
  std::vector<TierEvent>* events_;
};

}  // namespace quire::tiering
