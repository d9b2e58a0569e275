#include "server/rings/load_requests.h"

#include <utility>

#include "server/rings/replies.h"

namespace quire::server {

using model::Completion;
using model::Errc;
using model::Submission;
using model::Verb;

namespace {

// Deliveries take turns with pieces of 1,024 spans of three pages; all of them some 100 us a turn.
constexpr uint32_t kDeliverySteps = 1024;
constexpr uint32_t kDeliveriesPerTurn = 4;

}  // namespace

std::optional<Wait> LoadRequests::load(Attachment& attachment, const Submission& submission,
                                       PendingId id, uint32_t steps_left) {
  // Asked before anything is pinned. Nobody takes a job between this and finish(), within one call;
  // the next piece asks again.
  if (parts_.verify_hits && !parts_.jobs->has_room(attachment.session().domain)) {
    return Wait{WaitsFor::kCopyJob, {}};
  }
  if (!attachment.loading.is_under_way()) {
    const Errc refused = begin(attachment, submission);
    if (refused != Errc::kOk) {
      attachment.lane().complete(reply_to(submission, refused));
      return std::nullopt;
    }
  }
  const model::LoadArgs& args = submission.args.load;
  const auto out =
      attachment.lane().descriptors().subspan(args.descriptor_index, args.descriptor_capacity);
  cache::PrefixLoader& loader = parts_.cache->loader();
  if (!loader.step_load(attachment.leases, attachment.loading, out, steps_left)) {
    return Wait{WaitsFor::kTurn, {}};
  }
  finish(attachment, submission, id, out);
  return std::nullopt;
}

Errc LoadRequests::begin(Attachment& attachment, const Submission& submission) {
  const model::LoadArgs& args = submission.args.load;
  const uint32_t limit = attachment.lane().shape().max_load_pages;
  // Compared so that the sum of two client words cannot wrap.
  if (args.descriptor_index > limit || args.descriptor_capacity > limit - args.descriptor_index) {
    return Errc::kInvalidArgument;
  }
  if (args.progress_slot > model::kLoadProgressSlots ||
      args.order > static_cast<uint8_t>(model::LoadOrder::kLayerMajor) ||
      args.form > static_cast<uint8_t>(model::LoadForm::kRuns)) {
    return Errc::kInvalidArgument;
  }
  // Runs that grow cannot be read while they do.
  const bool in_runs = args.form == static_cast<uint8_t>(model::LoadForm::kRuns);
  if (in_runs && args.progress_slot != 0) return Errc::kInvalidArgument;
  if (args.progress_slot != 0) attachment.lane().publish_load_ready(args.progress_slot, 0);
  return parts_.cache->loader()
      .begin_load(attachment.leases, args, args.descriptor_capacity, parts_.verify_hits,
                  attachment.loading)
      .code();
}

// Its range is pinned.
void LoadRequests::finish(Attachment& attachment, const Submission& submission, PendingId id,
                          std::span<model::PageDescriptor> out) {
  LoadFacts facts = parts_.turns->begun(attachment.session(), attachment.loading);
  // Taken out, so that the attachment's next load may begin; the hold goes with whoever goes on.
  const cache::Load load = std::exchange(attachment.loading.load, {});
  cache::LoadHold hold = std::move(attachment.loading.hold);
  if (!load.is_whole()) {
    // Progress lets the client read before the end: with checks nothing may be read before it.
    const uint8_t slot = parts_.verify_hits ? uint8_t{0} : submission.args.load.progress_slot;
    wait_for_tiers(attachment, submission, id,
                   {.load = load,
                    .hold = std::move(hold),
                    .out = out,
                    .progress_slot = slot,
                    .facts = std::move(facts)});
    return;
  }
  if (attachment.loading.slots.empty() || load.code != Errc::kOk) {
    attachment.lane().complete(
        counted(attachment, facts, reply_to(submission, load.code), load.result));
    return;
  }
  id = parts_.requests->go_under_way(attachment, submission, id, WaitsFor::kCheck);
  QUIRE_CHECK(checks_.start(id, {.attachment = &attachment,
                                 .hold = std::move(hold),
                                 .result = load.result,
                                 .slots = std::move(attachment.loading.slots),
                                 .facts = std::move(facts)}));
}

// Where tokens are counted: a load's pages are the client's from here on.
Completion LoadRequests::counted(Attachment& attachment, const LoadFacts& facts,
                                 Completion completion, const model::LoadResult& result) {
  Session& session = attachment.session();
  const bool late = completion.code == static_cast<int32_t>(Errc::kDeadlineExceeded);
  parts_.turns->delivered(session, facts, result, late);
  const uint32_t block_tokens = parts_.cache->layouts().find(session.layout)->layout.block_tokens;
  session.handover.took(attachment, facts.asked.first * block_tokens,
                        (facts.asked.first + result.block_count) * block_tokens,
                        session.progress_header());
  completion.result.load = result;
  return completion;
}

// What is in RAM is delivered also where no tier takes the rest, or where some of it is damaged.
void LoadRequests::wait_for_tiers(Attachment& attachment, const Submission& submission,
                                  PendingId id, TierLoad waiting) {
  const bool damaged = waiting.load.is_damaged;
  id = parts_.requests->go_under_way(attachment, submission, id, WaitsFor::kTier);
  // In the table before the tiers hear of it: they may answer in the same step.
  waiting_.emplace(id.value, std::move(waiting));
  if (damaged) return begin_delivery(id, Errc::kCorrupt);
  if (parts_.tiers == nullptr) return begin_delivery(id, Errc::kIoError);
  const auto load_class = attachment.session().cached.batch_class ? model::LoadClass::kBatch
                                                                  : model::LoadClass::kInteractive;
  const auto started = parts_.tiers->loads().start(
      {.tag = id.value,
       .load_class = load_class,
       .order = static_cast<model::LoadOrder>(submission.args.load.order),
       .deadline_ns = parts_.requests->deadline_ns(submission),
       .nodes = attachment.loading.missing,
       .reservation = attachment.leases.reservation});
  if (started.ok()) return;
  begin_delivery(id, started.code() == Errc::kUnavailable ? Errc::kIoError : started.code());
}

// Blocks before the first one that is missing are described as they come; the client reads them
// once the count, stored after them, covers them.
void LoadRequests::publish_progress(PendingId id) {
  TierLoad& waiting = waiting_.at(id.value);
  const cache::Load& load = waiting.load;
  const model::NodeId missing = parts_.tiers->loads().next_missing(id.value);
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  uint32_t ready = load.block_count;
  model::NodeId last_ready = load.last;
  if (missing.valid() && missing != load.checkpoint) {
    const uint32_t per_block = parts_.cache->names().root(load.root).layout->units_per_block;
    // The missing span's distance from the end says its place: depth grows by one block a span.
    const uint32_t behind = (tree.node(load.last).units() - tree.node(missing).units()) / per_block;
    ready = load.block_count - 1 - behind;
    last_ready = tree.parent(missing);
  }
  if (ready <= waiting.blocks_ready) return;
  parts_.cache->loader().describe_blocks(
      load, last_ready, {waiting.blocks_ready, ready - waiting.blocks_ready}, waiting.out);
  waiting.blocks_ready = ready;
  parts_.requests->table().request(id).attachment->lane().publish_load_ready(
      waiting.progress_slot, ready * load.pages_per_span);
}

void LoadRequests::begin_delivery(PendingId id, Errc code) {
  TierLoad& waiting = waiting_.at(id.value);
  Attachment& attachment = *parts_.requests->table().request(id).attachment;
  // The delivery writes the area anew, and may deliver less than was ready: the count must not
  // cover it meanwhile.
  if (waiting.progress_slot != 0) attachment.lane().publish_load_ready(waiting.progress_slot, 0);
  waiting.code = code;
  waiting.delivery = std::make_unique<cache::Delivery>();
  parts_.cache->loader().begin_delivery(attachment.leases, waiting.load, waiting.out.size(),
                                        parts_.verify_hits, *waiting.delivery);
  delivering_.push_back(id);
}

size_t LoadRequests::step() {
  if (parts_.tiers != nullptr) {
    tiering::Loads& loads = parts_.tiers->loads();
    for (const tiering::FinishedLoad& one : loads.finished()) {
      if (waiting_.contains(one.tag)) begin_delivery(PendingId{one.tag}, one.code);
    }
    loads.finished().clear();
    // Of those that finished nothing is missing any more as the tiers see it, whatever came.
    for (const uint64_t tag : loads.advanced()) {
      const auto waiting = waiting_.find(tag);
      const bool goes_on = waiting != waiting_.end() && waiting->second.delivery == nullptr;
      if (goes_on && waiting->second.progress_slot != 0) publish_progress(PendingId{tag});
    }
    loads.advanced().clear();
  }
  size_t count = 0;
  while (count < kDeliveriesPerTurn && step_deliveries()) ++count;
  return count;
}

// A piece of the one whose turn it is. False: there is none.
bool LoadRequests::step_deliveries() {
  while (!delivering_.empty()) {
    const PendingId id = delivering_.front();
    delivering_.pop_front();
    if (!parts_.requests->table().is_live(id)) continue;  // its attachment ended
    TierLoad& waiting = waiting_.at(id.value);
    Attachment& attachment = *parts_.requests->table().request(id).attachment;
    // A piece each, then to the end of the line: a load of a million tokens delays the others by
    // one piece.
    const bool done = parts_.cache->loader().step_delivery(attachment.leases, *waiting.delivery,
                                                           waiting.out, kDeliverySteps);
    done ? finish_delivery(id) : delivering_.push_back(id);
    return true;
  }
  return false;
}

void LoadRequests::finish_delivery(PendingId id) {
  TierLoad waiting = std::move(waiting_.extract(id.value).mapped());
  const cache::DeliveredLoad& delivered = waiting.delivery->delivered;
  if (delivered.code != Errc::kOk) {
    return answer(id, waiting.facts, delivered.code, delivered.result);
  }
  Errc code = waiting.code;
  // All of it came, and some was quarantined since: a check found it bad for somebody else.
  if (code == Errc::kOk && !delivered.whole) code = Errc::kCorrupt;
  // Whatever stopped the load, all of it may have come. A head that is delivered has one of three
  // reasons (LoadResult).
  // Of blocks that have no page of the groups asked for, too: they count as delivered.
  const bool head = delivered.result.block_count > 0 || delivered.result.checkpoint_count > 0;
  const bool named = code == Errc::kIoError || code == Errc::kCorrupt;
  code = delivered.whole ? Errc::kOk : head && !named ? Errc::kDeadlineExceeded : code;
  HitCheck check{.attachment = parts_.requests->table().request(id).attachment,
                 .hold = std::move(waiting.hold),
                 .code = code,
                 .result = delivered.result,
                 .slots = std::move(waiting.delivery->slots),
                 .facts = std::move(waiting.facts)};
  // Without a free job it is delivered as it was checked on its way from its tier.
  const bool checked = !check.slots.empty() && parts_.jobs->has_room(check.domain());
  if (!checked) return answer(id, check.facts, code, delivered.result);
  // From here on an end of the attachment leaves the check to the workers.
  parts_.requests->table().wait(id, {WaitsFor::kCheck, {}});
  QUIRE_CHECK(checks_.start(id, std::move(check)));
}

void LoadRequests::answer(PendingId id, const LoadFacts& facts, Errc code,
                          const model::LoadResult& result) {
  const PendingRequest request = parts_.requests->end(id);
  if (request.attachment == nullptr) return;  // it ended under the check
  parts_.requests->complete(
      *request.attachment,
      counted(*request.attachment, facts, reply_to(request.submission, code), result));
}

void LoadRequests::finish_check(CopyJob* job) {
  const PendingId id = job->pending;
  const std::optional<HitCheck> check = checks_.finish(job);
  if (check) answer(id, check->facts, check->code, check->result);
}

// A check goes on: the workers read pages that it keeps pinned.
void LoadRequests::end(PendingId id) {
  if (parts_.requests->table().waits(id).what == WaitsFor::kCheck) {
    parts_.requests->table().detach(id);
    return;
  }
  // The tiers forget the tag; what the device still brings becomes resident, and nobody is told.
  if (parts_.tiers != nullptr) parts_.tiers->loads().cancel(id.value);
  waiting_.erase(id.value);
  parts_.requests->end(id);
}

std::optional<Wait> LoadRequests::release(Attachment& attachment, const Submission& submission,
                                          uint32_t steps_left) {
  const model::LeaseId lease{submission.args.release.lease};
  const auto gone = parts_.cache->loader().release_part(attachment.leases, lease, steps_left);
  if (gone.ok() && !*gone) return Wait{WaitsFor::kTurn, {}};
  attachment.lane().complete(reply_to(submission, gone.code()));
  return std::nullopt;
}

}  // namespace quire::server
