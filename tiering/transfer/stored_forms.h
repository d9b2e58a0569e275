// How large an object is on the device, as it is or encoded, and the memory that the encoded form
// of a transfer lies in while it moves. Several transfers have such memory at once, within a bound;
// demotion takes half of it at most, or a burst of writes would keep loads waiting. Threads: core
// only.
#pragma once

#include <cstdint>

#include "cache/cache.h"
#include "tiering/space/ssd_files.h"
#include "tiering/transfer/bounce_buffers.h"
#include "tiering/transfer/ssd_transfer.h"

namespace quire::tiering {

class StoredForms {
 public:
  // `max_bytes`: of memory, for all transfers.
  StoredForms(const cache::Cache* cache, const SsdFiles* files, uint64_t max_bytes)
      : cache_(cache), files_(files), max_bytes_(max_bytes) {}

  // What an object takes in a slot as it is: its pages in whole blocks.
  uint64_t object_bytes(model::NodeId node) const;
  // Of a node with a copy that is encoded, its slot; 0: the copy is as it is.
  uint64_t encoded_slot_bytes(model::NodeId node) const;
  // How many objects in such slots one transfer may have.
  uint32_t max_encoded(TransferKind kind, uint64_t slot_bytes) const;

  // The objects of the transfer, max_encoded() at most, are, or are to be, encoded in slots of this
  // size. False: there is no memory for that many at present.
  bool set_encoded(Transfer& transfer, uint32_t objects, uint64_t slot_bytes);
  // All its objects are settled: their stored form is not needed any more. Any transfer.
  void drop(Transfer& transfer);
  uint64_t held_bytes() const { return bounce_.held_bytes(); }

 private:
  uint64_t limit(TransferKind kind) const;

  const cache::Cache* cache_;
  const SsdFiles* files_;
  uint64_t max_bytes_;
  BounceBuffers bounce_;
};

}  // namespace quire::tiering
