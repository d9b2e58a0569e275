// Loads and releases, from the submission to the descriptors or the usable head (law 15):
//
//   load --all in RAM------------> [HitChecks, with verify_hits] --> answered
//        --pages below RAM--> kTier: the tiers bring them --> delivered, in pieces --/
//
// While a load runs its client may read how many descriptors are ready (ReplyHeader::load_ready)
// and start on them.
//
// Threads: core only. Bounds: tiering::kMaxLoads; steps of delivery in one turn. What the device
// still transfers for a load that ended is the tier's.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>

#include "cache/cache.h"
#include "server/rings/copy_jobs.h"
#include "server/rings/hit_checks.h"
#include "server/rings/requests.h"
#include "server/rings/session.h"
#include "server/rings/turn_meter.h"
#include "tiering/tier_set.h"

namespace quire::server {

class LoadRequests {
 public:
  struct Parts {
    cache::Cache* cache;
    tiering::CopyEngine* copies;
    tiering::TierSet* tiers;  // null: nothing is ever missing
    CopyJobs* jobs;
    Requests* requests;
    TurnMeter* turns;
    bool verify_hits;  // check every page's CRC32C before it is delivered
  };
  explicit LoadRequests(const Parts& parts)
      : parts_(parts), checks_(parts.cache, parts.copies, parts.jobs) {}

  // `id`: the record of one that waited. Nothing: it was answered, or is under way.
  std::optional<Wait> load(Attachment& attachment, const model::Submission& submission,
                           PendingId id, uint32_t steps_left);
  // Nothing: it was answered. kTurn: the lease has more spans than one turn lets go.
  std::optional<Wait> release(Attachment& attachment, const model::Submission& submission,
                              uint32_t steps_left);

  // Takes what the tiers brought, or did not, and delivers a bounded part of it. Returns how many
  // loads went on.
  size_t step();
  // A copy job of this purpose came back from the workers.
  void finish_check(CopyJob* job);
  // Its attachment ends. Precondition: kTier or kCheck.
  void end(PendingId id);

  // Pages that a check before delivery found bad.
  uint64_t check_failures() const { return checks_.failures(); }

 private:
  // What waits for a tier, by its request.
  struct TierLoad {
    cache::Load load;
    cache::LoadHold hold;
    std::span<model::PageDescriptor> out;
    uint8_t progress_slot = 0;  // 0 = none
    uint32_t blocks_ready = 0;  // described already
    LoadFacts facts;
    model::Errc code = model::Errc::kOk;  // that it ended with
    std::unique_ptr<cache::Delivery> delivery;
  };

  model::Errc begin(Attachment& attachment, const model::Submission& submission);
  void finish(Attachment& attachment, const model::Submission& submission, PendingId id,
              std::span<model::PageDescriptor> out);
  void wait_for_tiers(Attachment& attachment, const model::Submission& submission, PendingId id,
                      TierLoad waiting);
  void publish_progress(PendingId id);
  void begin_delivery(PendingId id, model::Errc code);
  bool step_deliveries();
  void finish_delivery(PendingId id);
  void answer(PendingId id, const LoadFacts& facts, model::Errc code,
              const model::LoadResult& result);
  model::Completion counted(Attachment& attachment, const LoadFacts& facts,
                            model::Completion completion, const model::LoadResult& result);

  Parts parts_;
  HitChecks checks_;
  std::unordered_map<uint64_t, TierLoad> waiting_;  // by PendingId; the tag that the tiers know
  std::deque<PendingId> delivering_;                // of these, in turns; some ended meanwhile
};

}  // namespace quire::server
