// Runs of the manifest that are to be cut or erased, and the slots that this frees.
//
//   add_* --slots are freeing--> pending --begin_batch, describe--> in a batch --durable--> free
//                                   ^------------------- failed ------------/
//
// 1. A slot serves again only after a batch that erases its record is durable (law 8).
// 2. A run is pending once: what is added of it later makes the cut deeper.
// Threads: core only. Bound: the slots of the device.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cache/objects/object_store.h"
#include "model/clock.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/disk/ssd_roots.h"
#include "tiering/space/ssd_space.h"

namespace quire::tiering {

struct PendingErasuresParts {
  SsdSpace* space = nullptr;
  SsdRoots* roots = nullptr;
  SsdKept* kept = nullptr;
  const model::Clock* clock = nullptr;
};

class PendingErasures {
 public:
  explicit PendingErasures(const PendingErasuresParts& parts) : parts_(parts) {}

  // A copy that the cache needs no more. What is kept behind it in its run goes with it.
  void add_release(const cache::GivenUpCopy& release);
  // What was kept and is wanted no more.
  void add_dropped(SsdKept::Dropped&& dropped);
  // All of a run that the manifest may have, or not: its batch failed.
  void add_doubtful(const RunKey& key, uint32_t count);

  // There are some, and they have waited long enough, are many, or somebody is in a `hurry`.
  bool due(bool hurry) const;
  // Takes what goes into one batch. Precondition: none is under way.
  void begin_batch();
  // Adds these to the batch. Roots whose last run goes are the roots' to erase.
  void describe(ManifestBatch& batch);
  // The batch is durable, and its slots are free; or it failed, and they wait again. Returns how
  // many became free.
  uint64_t finish_batch(bool ok);

  bool empty() const { return pending_.empty(); }
  size_t size() const { return pending_.size(); }

 private:
  struct Erasure {
    RunKey key;
    uint32_t left = 0;  // objects of the run that stay
    std::vector<SsdSlot> slots;
    std::vector<uint32_t> held;  // regions that are, for this run
  };
  void add(Erasure&& erasure);
  void free(const Erasure& erasure);

  PendingErasuresParts parts_;
  std::unordered_map<uint32_t, Erasure> pending_;  // by first slot of the run; not in a batch yet
  std::vector<Erasure> in_batch_;
  int64_t oldest_ns_ = 0;  // of those that are pending
};

}  // namespace quire::tiering
