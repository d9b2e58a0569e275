// Does to a cache by hand what otherwise daemon, tiers and devices decide: evicts, drops, damages,
// pins, demotes. The acting side of Inspector; knows how the cache does these things, so that tests
// need not.
//
// Lifetime: a view; the cache outlives it, and pins are the caller's to give back. Threads: as
// Inspector.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cache/cache.h"

namespace quire::tests {

class Meddler {
 public:
  explicit Meddler(cache::Cache& cache) : cache_(cache) {}

  // So many objects leave RAM, or go, in the policy's order; 0: all that may. Returns how many.
  uint64_t evict(uint64_t count = 0);
  // Gives up the SSD's next copy in its policy's order; an object that has no other goes. False:
  // none may.
  bool evict_from_ssd();
  // A node that is on the cluster only is forgotten, as where the table of nodes gets full. False:
  // there is none that may.
  bool forget_from_cluster();
  // Of every copy that may; returns how many.
  uint64_t empty_ssd();
  // As the victim of an eviction. False: it is not a leaf, is pinned, or not there any more.
  bool drop(model::NodeId node);
  // Counts as a use for the eviction order.
  void use(model::NodeId node);

  // Law 3: the object and its path stay until it is unpinned as often.
  void pin(model::NodeId node);
  void unpin(model::NodeId node);

  // Flips the low bit of this byte of a page that is in RAM; its checksum stays.
  void corrupt(model::NodeId node, uint64_t offset, size_t page = 0);
  // As if a page of it had failed its checksum: it and what depends on it are out of the index.
  void quarantine(model::NodeId node);
  // Of a page that was written by hand.
  void set_checksum(model::NodeId node, uint32_t crc32c, size_t page = 0);

  // A durable copy exists from now on; what lies there is nobody's. Precondition: in RAM, no copy.
  void put_on_ssd(model::NodeId node, uint32_t slot);
  // The copy is given up, and its slot nobody's. Precondition: there is one, and another in RAM.
  void take_off_ssd(model::NodeId node);
  // What is on this tier only can be brought to RAM from now on, as if there were something that
  // did it.
  void make_readable(model::TierId tier);
  // Whether a tier below RAM says that what is added gets its copy there soon.
  void promise_copies(bool soon);
  // False: no copy, pinned, or a child in RAM.
  bool leave_ram(model::NodeId node);
  // One more segment of the supply for the domain.
  allocator::Pool::Growth grow(model::DomainId domain);
  // A bounded part of what dead roots left; true while there is more.
  bool reclaim_dead(uint32_t budget);

 private:
  allocator::PageEntry& entry(model::NodeId node, size_t page);

  cache::Cache& cache_;
};

}  // namespace quire::tests
