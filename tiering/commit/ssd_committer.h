// Makes what was written durable, and frees what was given up, in the order of law 8:
//
//   written objects --fdatasync of their files--> one manifest batch, synced --> durable
//   given up copies -------------------------------^                         --> slots are free
//
// PendingErasures has what is given up, DurableNames what records rely on.
//
// One cycle at a time; what comes meanwhile goes with the next (group commit). When a sync fails
// its file is sealed and what was written to it is dropped. When a batch fails nobody knows whether
// it is on the device: its slots stay taken until a later batch has erased it durably. Threads:
// core only.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "tiering/commit/durable_names.h"
#include "tiering/commit/pending_erasures.h"
#include "tiering/disk/manifest.h"
#include "tiering/disk/ssd_directory.h"
#include "tiering/disk/ssd_kept.h"
#include "tiering/disk/ssd_roots.h"
#include "tiering/space/ssd_files.h"
#include "tiering/space/ssd_space.h"
#include "tiering/transfer/ssd_health.h"
#include "tiering/transfer/ssd_mover.h"

namespace quire::tiering {

struct CommitterParts {
  cache::Cache* cache = nullptr;
  SsdMover* mover = nullptr;
  StoredForms* forms = nullptr;
  IoPort* io = nullptr;
  Manifest* manifest = nullptr;
  const SsdDirectory* directory = nullptr;  // outlives the manifest, as the cache does
  SsdFiles* files = nullptr;
  SsdSpace* space = nullptr;
  SsdRoots* roots = nullptr;
  SsdKept* kept = nullptr;
  SsdHealth* health = nullptr;
  const model::Clock* clock = nullptr;
  std::array<uint8_t, 16> instance{};  // of the directory
};

struct CommitterCounters {
  model::Counter cycles{"commit_cycles", "Batches begun"};
  model::Counter durable_objects{"durable_objects", "Objects made durable"};
  model::Counter erased_objects{"erased_objects", "Objects durably gone from the manifest"};
  model::Counter failed_batches{"failed_batches", "Batches that the manifest failed"};
  model::Counter syncs{"syncs", "Data files synced"};
};

class SsdCommitter {
 public:
  explicit SsdCommitter(const CommitterParts& parts);

  // A demotion whose objects [0, run.keys.size()) are all written.
  void add_written(Transfer* transfer) { written_.push_back(transfer); }
  // A copy that the cache needs no more. What is kept behind it in its run goes with it.
  void add_release(const cache::GivenUpCopy& release) { erasures_.add_release(release); }
  // Drops the least useful copy, whose slots count as freeing from now on; false: all are in use.
  bool evict_one(model::TenantId asker);
  // What was kept and is wanted no more.
  void add_dropped(SsdKept::Dropped&& dropped) { erasures_.add_dropped(std::move(dropped)); }

  // One step: takes results, starts the next cycle. While more is `coming` a cycle waits for
  // company: each costs the device a flush. `hurry`: also for releases alone.
  bool step(bool hurry, bool coming);
  // Finished demotions since the last call; the taker gives the transfers back.
  std::vector<Transfer*>& durable() { return durable_; }
  std::vector<Transfer*>& failed() { return failed_; }

  bool idle() const { return !busy() && written_.empty() && erasures_.empty(); }
  bool busy() const { return syncs_in_flight_ > 0 || batch_in_flight_; }
  size_t pending_erasures() const { return erasures_.size(); }
  const CommitterCounters& counters() const { return counters_; }

 private:
  model::RootId root_of(const Transfer& transfer) const;
  bool drop_hopeless();
  void fail_unnamed(Transfer* transfer);
  void begin_cycle();
  void begin_syncs();
  void finish_sync(const IoOp& op);
  void submit_batch();
  void finish_batch(bool ok);

  CommitterParts parts_;
  std::vector<Transfer*> written_;
  PendingErasures erasures_;
  DurableNames names_;
  int64_t cycle_began_ns_ = 0;

  std::vector<Transfer*> cycle_;
  std::vector<IoOp> syncs_;  // tag: the file's number
  IoClient client_;
  uint32_t syncs_in_flight_ = 0;
  bool batch_in_flight_ = false;
  std::vector<Transfer*> durable_;
  std::vector<Transfer*> failed_;
  CommitterCounters counters_;
};

}  // namespace quire::tiering
