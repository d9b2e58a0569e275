// Fills and their commits, from the submission to the object that others can match:
//
//   begin_fill --slots reserved--> answered
//              --no memory-------> kMemory: until the reserved slots are there, or its deadline
//   commit -----> kCopy: a copy worker moves the bytes --> visible, answered
//                 --its parent span is still written-----> kParent --> visible, or kNoParent
//
// Threads: core only. Bounds: the copy jobs of a domain; what is settled in one turn.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cache/cache.h"
#include "model/metrics.h"
#include "server/rings/copy_jobs.h"
#include "server/rings/requests.h"
#include "server/rings/session.h"
#include "server/rings/turn_meter.h"
#include "tiering/io/copy_engine.h"

namespace quire::server {

struct FillCounters {
  model::Counter copied_bytes{"copied_bytes", "Bytes copied from staging areas"};
};

class FillRequests {
 public:
  struct Parts {
    cache::Cache* cache;
    tiering::CopyEngine* copies;
    CopyJobs* jobs;
    Requests* requests;
    TurnMeter* turns;
  };
  explicit FillRequests(const Parts& parts) : parts_(parts) {}

  // Nothing: it was answered.
  std::optional<Wait> begin(Attachment& attachment, const model::Submission& submission);
  // Memory may have come for a fill that reserves.
  std::optional<Wait> go_on(model::FillId fill);
  // `id`: the record of one that waited. Nothing: it was refused, or is under way.
  std::optional<Wait> commit(Attachment& attachment, const model::Submission& submission,
                             PendingId id);
  // Ends an open fill and answers: kNotFound when there is none.
  void abort(Attachment& attachment, const model::Submission& submission);

  // A copy job of this purpose came back from the workers.
  void finish_commit(CopyJob* job);
  // Some of what waited for a parent span that has been linked, or that will not come. Returns how
  // many there were.
  size_t settle();
  // The deadline of a commit that waits for its parent, which may have come by another session:
  // then the commit is good all the same. True: it was answered.
  bool end_waiting(const PendingRequest& commit, model::FillId fill);
  // Of an ended attachment's fills, in steps; as ObjectWriter::end_holder.
  bool step_end(Attachment& attachment, bool last_one, uint32_t& budget);

  const FillCounters& counters() const { return counters_; }

 private:
  model::Completion begun_reply(Session& session, const model::Submission& submission,
                                const model::Result<cache::BeginOutcome>& begun);
  void deliver(const cache::Linked& linked, const PendingRequest& commit);
  bool is_too_far_ahead(Attachment& attachment, const model::BeginFillArgs& args) const;
  void complete_commit(const PendingRequest& commit, const cache::Linked& linked);
  void update_progress(Session& session);

  Parts parts_;
  std::vector<cache::Linked> linked_;  // scratch of one call
  FillCounters counters_;
};

}  // namespace quire::server
