// Checks of pages in RAM before they are delivered (--verify_hits, law 4): one load at a time goes
// through the copy workers, batch by batch. A page whose bytes changed is never delivered; it and
// all that depends on it are misses from then on.
// Threads: core only. Bound: the copy jobs it shares with commits.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "server/rings/copy_jobs.h"
#include "server/rings/session.h"
#include "tiering/io/copy_engine.h"

namespace quire::server {

struct HitCheck {
  Attachment* attachment = nullptr;
  cache::LoadHold hold;
  model::Errc code = model::Errc::kOk;  // of the load, when the check finds nothing
  model::LoadResult result{};           // cut to the head before a bad page
  std::vector<model::SlotId> slots;
  size_t next = 0;  // first slot not submitted yet
  uint32_t pages_per_span = 0;
  LoadFacts facts;

  model::DomainId domain() const { return attachment->session().domain; }
};

class HitChecks {
 public:
  HitChecks(cache::Cache* cache, tiering::CopyEngine* copies, CopyJobs* jobs)
      : cache_(cache), copies_(copies), jobs_(jobs) {}

  // By its request. False: no job is free for its domain; nothing was taken.
  bool start(PendingId id, HitCheck&& check);
  // Takes a job of this purpose back from the workers; the check, when it has come to its end.
  std::optional<HitCheck> finish(CopyJob* job);
  // Pages that were not what was sealed, since the start.
  uint64_t failures() const { return failures_; }

 private:
  void submit(PendingId id, CopyJob* job);
  // Compares what the workers computed with the sums from the moment of sealing.
  size_t first_bad(const HitCheck& check, const CopyJob& job) const;

  cache::Cache* cache_;
  tiering::CopyEngine* copies_;
  CopyJobs* jobs_;
  std::unordered_map<uint64_t, HitCheck> checks_;  // by PendingId
  uint64_t failures_ = 0;
};

}  // namespace quire::server
