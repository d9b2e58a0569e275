// The dispatcher's loads and releases: from the submission to the descriptors, or the usable head.
#include <utility>

#include "server/rings/dispatcher.h"
#include "server/rings/replies.h"

namespace quire::server {

using model::Completion;
using model::Errc;
using model::Submission;
using model::Verb;

std::optional<Wait> Dispatcher::load(Attachment& attachment, const Submission& submission,
                                     uint32_t steps_left) {
  if (options_.verify_hits && !jobs_.has_room(attachment.session().domain)) {
    return Wait{WaitsFor::kCopyJob, {}};
  }
  if (!attachment.loading.is_under_way()) {
    const Errc refused = begin_load(attachment, submission);
    if (refused != Errc::kOk) {
      attachment.complete(reply_to(submission, refused));
      return std::nullopt;
    }
  }
  const model::LoadArgs& args = submission.args.load;
  const auto out =
      attachment.descriptors().subspan(args.descriptor_index, args.descriptor_capacity);
  if (!cache_->reader().step_load(attachment.leases, attachment.loading, out, steps_left)) {
    return Wait{WaitsFor::kTurn, {}};
  }
  finish_load(attachment, submission, out);
  return std::nullopt;
}

Errc Dispatcher::begin_load(Attachment& attachment, const Submission& submission) {
  const model::LoadArgs& args = submission.args.load;
  const uint32_t limit = attachment.shape().max_load_pages;
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
  if (args.progress_slot != 0) attachment.publish_load_ready(args.progress_slot, 0);
  return cache_->reader()
      .begin_load(attachment.leases, args, args.descriptor_capacity, options_.verify_hits,
                  attachment.loading)
      .code();
}

// Its range is pinned.
void Dispatcher::finish_load(Attachment& attachment, const Submission& submission,
                             std::span<model::PageDescriptor> out) {
  LoadFacts facts = turns_.begun(attachment.session(), attachment.loading);
  if (attachment.loading.load.missing_count > 0) {
    wait_for_tiers(attachment, submission, out, std::move(facts));
    return;
  }
  const cache::Load loaded = std::exchange(attachment.loading.load, {});
  if (attachment.loading.slots.empty() || loaded.code != Errc::kOk) {
    complete_load(attachment, facts, reply_to(submission, loaded.code), loaded.result);
    return;
  }
  QUIRE_CHECK(checks_.start({.attachment = &attachment,
                             .user_data = submission.user_data,
                             .lease = loaded.lease.value,
                             .result = loaded.result,
                             .slots = std::move(attachment.loading.slots),
                             .facts = std::move(facts)}));
}

// Where tokens are counted: a load's pages are the client's from here on.
void Dispatcher::complete_load(Attachment& attachment, const LoadFacts& facts,
                               Completion completion, const model::LoadResult& result) {
  turns_.delivered(attachment.session(), facts, result);
  completion.result.load = result;
  attachment.complete(completion);
}

void Dispatcher::wait_for_tiers(Attachment& attachment, const Submission& submission,
                                std::span<model::PageDescriptor> out, LoadFacts facts) {
  const WaitingLoad waiting{
      .attachment = &attachment,
      .user_data = submission.user_data,
      .load = std::exchange(attachment.loading.load, {}),
      .out = out,
      .order = static_cast<model::LoadOrder>(submission.args.load.order),
      .progress_slot = options_.verify_hits ? uint8_t{0} : submission.args.load.progress_slot,
      .facts = std::move(facts)};
  const auto started =
      loads_.start(waiting, attachment.loading.missing, clock_->now_ns() + deadline_ns(submission));
  // What is in RAM is delivered all the same.
  if (!started.ok()) {
    deliver(waiting, started.code() == Errc::kUnavailable ? Errc::kIoError : started.code());
  }
}

void Dispatcher::deliver(const WaitingLoad& waiting, Errc code) {
  Attachment& attachment = *waiting.attachment;
  if (waiting.progress_slot != 0) attachment.publish_load_ready(waiting.progress_slot, 0);
  HitCheck check;
  const cache::DeliveredLoad delivered = cache_->reader().deliver(
      attachment.leases, waiting.load, waiting.out, options_.verify_hits ? &check.slots : nullptr);
  check.result = delivered.result;
  if (delivered.code != Errc::kOk) {
    complete_load(attachment, waiting.facts,
                  reply_to(waiting.user_data, Verb::kLoad, delivered.code), delivered.result);
    touched_.push_back(&attachment);
    return;
  }
  // All of it came, and some was quarantined since: a check found it bad for somebody else.
  if (code == Errc::kOk && !delivered.whole) code = Errc::kCorrupt;
  // Whatever stopped the load, all of it may have come. A head that is delivered has one of three
  // reasons (LoadResult).
  const bool head = check.result.descriptor_count > 0;
  const bool named = code == Errc::kIoError || code == Errc::kCorrupt;
  check.code = delivered.whole ? Errc::kOk : head && !named ? Errc::kDeadlineExceeded : code;
  if (!check.slots.empty()) {
    check.attachment = &attachment;
    check.user_data = waiting.user_data;
    check.lease = waiting.load.lease.value;
    check.facts = waiting.facts;
    // Without a free job it is delivered as it was checked on its way from its tier.
    if (checks_.start(std::move(check))) return;
  }
  complete_load(attachment, waiting.facts, reply_to(waiting.user_data, Verb::kLoad, check.code),
                check.result);
  touched_.push_back(&attachment);
}

size_t Dispatcher::finish_loads() {
  const size_t count =
      loads_.step([this](const WaitingLoad& waiting, Errc code) { deliver(waiting, code); });
  publish_touched();
  return count;
}

std::optional<Wait> Dispatcher::release(Attachment& attachment, const Submission& submission,
                                        uint32_t steps_left) {
  const model::LeaseId lease{submission.args.release.lease};
  if (checks_.holds(attachment, lease) || loads_.holds(attachment, lease) ||
      (attachment.loading.is_under_way() && attachment.loading.load.lease == lease)) {
    attachment.complete(reply_to(submission, Errc::kBusy));
    return std::nullopt;
  }
  const auto gone = cache_->reader().release_part(attachment.leases, lease, steps_left);
  if (gone.ok() && !*gone) return Wait{WaitsFor::kTurn, {}};
  attachment.complete(reply_to(submission, gone.code()));
  return std::nullopt;
}

void Dispatcher::finish_check(CopyJob* job) {
  const std::optional<HitCheck> check = checks_.finish(job);
  // An ended attachment's leases, kept for the workers' sake, go in step_end().
  if (!check || check->attachment->ended) return;
  complete_load(*check->attachment, check->facts,
                reply_to(check->user_data, Verb::kLoad, check->code), check->result);
  touched_.push_back(check->attachment);
}

}  // namespace quire::server
