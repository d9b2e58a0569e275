#include "server/rings/fill_requests.h"

#include <algorithm>
#include <array>

#include "server/rings/replies.h"

namespace quire::server {

using cache::BeginOutcome;
using cache::FillOutcome;
using cache::Linked;
using model::Completion;
using model::Errc;
using model::FillKind;
using model::Submission;
using model::Verb;

namespace {

constexpr uint32_t kSettledPerTurn = 64;  // commits whose parent came, or did not

Errc outcome_code(FillOutcome outcome) {
  switch (outcome) {
    case FillOutcome::kPartial:
    case FillOutcome::kVisible:
    case FillOutcome::kDuplicate:
      return Errc::kOk;
    case FillOutcome::kNoParent:
    case FillOutcome::kWaiting:
      return Errc::kNoParent;
    case FillOutcome::kAborted:
      return Errc::kClosed;
    case FillOutcome::kNoNode:
      return Errc::kResourceExhausted;
  }
  return Errc::kInternal;
}

}  // namespace

// Checkpoints lie at the end of what spans say, and hold up nothing.
bool FillRequests::is_too_far_ahead(Attachment& attachment,
                                    const model::BeginFillArgs& args) const {
  if (args.kind != static_cast<uint8_t>(FillKind::kSpan)) return false;
  Session& session = attachment.session();
  const uint32_t unit_tokens = parts_.cache->layouts().find(session.layout)->layout.unit_tokens;
  return !session.handover.may_begin(attachment, uint64_t{args.end_units} * unit_tokens);
}

std::optional<Wait> FillRequests::begin(Attachment& attachment, const Submission& submission) {
  if (is_too_far_ahead(attachment, submission.args.begin_fill)) {
    attachment.lane().complete(reply_to(submission, Errc::kBusy));
    return std::nullopt;
  }
  const auto begun =
      parts_.cache->writer().begin(attachment.session().cached, attachment.holder_tag(),
                                   attachment.lane().chain(), submission.args.begin_fill);
  if (begun.ok() && begun->kind == BeginOutcome::Kind::kPending) {
    return Wait{WaitsFor::kMemory, begun->fill};
  }
  attachment.lane().complete(begun_reply(attachment.session(), submission, begun));
  return std::nullopt;
}

// Memory may have come for a fill that reserves: it goes on where it stood. Several processes of
// the session may wait for one fill; each claimed its groups, and all hear of it.
std::optional<Wait> FillRequests::go_on(model::FillId fill) {
  const auto begun = parts_.cache->writer().go_on(fill);
  if (begun.ok() && begun->kind == BeginOutcome::Kind::kPending) {
    return Wait{WaitsFor::kMemory, fill};
  }
  const PendingTable& table = parts_.requests->table();
  // Each end() takes one out of the list of this fill, so the first is always the next.
  for (PendingId id = table.first_for(fill); id.valid(); id = table.first_for(fill)) {
    const PendingRequest request = parts_.requests->end(id);
    parts_.requests->complete(*request.attachment,
                              begun_reply(*request.session, request.submission, begun));
  }
  return std::nullopt;
}

Completion FillRequests::begun_reply(Session& session, const Submission& submission,
                                     const model::Result<BeginOutcome>& begun) {
  Completion completion = reply_to(submission, begun.code());
  if (begun.ok()) {
    const bool duplicate = begun->kind == BeginOutcome::Kind::kDuplicate;
    const bool written = begun->kind == BeginOutcome::Kind::kWritten;
    const bool unwanted = begun->kind == BeginOutcome::Kind::kUnwanted;
    const bool nothing_to_write = duplicate || written || unwanted;
    completion.result.begin_fill.duplicate = nothing_to_write ? 1 : 0;
    completion.result.begin_fill.incomplete = written ? 1 : 0;
    completion.result.begin_fill.unwanted = unwanted ? 1 : 0;
    completion.result.begin_fill.fill = nothing_to_write ? 0 : begun->fill.value;
    if (duplicate) update_progress(session);
  }
  return completion;
}

// Where bytes are copied: from the process's staging area to pool slots, by a copy worker, with
// CRC32C in the same pass. `id`: its record, if it waited. Continues in finish_commit().
std::optional<Wait> FillRequests::commit(Attachment& attachment, const Submission& submission,
                                         PendingId id) {
  // A job before the pages: once take() has marked them as copying they have to be copied.
  CopyJob* job = parts_.jobs->take(attachment.session().domain);
  if (job == nullptr) return Wait{WaitsFor::kCopyJob, {}};
  std::array<cache::PageCopy, cache::kMaxPagesPerObject> copies;
  const model::CommitArgs& args = submission.args.commit;
  const StagingArea* staging = attachment.staging();
  const auto taken =
      parts_.cache->writer().take(attachment.session().cached, attachment.holder_tag(), args,
                                  staging == nullptr ? 0 : staging->bytes, copies);
  if (!taken.ok()) {
    parts_.jobs->give_back(job);
    attachment.lane().complete(reply_to(submission, taken.code()));
    return std::nullopt;
  }
  id = parts_.requests->go_under_way(attachment, submission, id, WaitsFor::kCopy);
  job->purpose = CopyPurpose::kCommit;
  job->attachment = &attachment;
  job->pending = id;
  job->fill = model::FillId{args.fill};
  job->page_count = static_cast<uint32_t>(*taken);
  for (size_t i = 0; i < *taken; ++i) {
    job->page_indexes[i] = copies[i].page_index;
    job->pages[i] = {.source = staging->data() + copies[i].staging_offset,
                     .target = copies[i].target,
                     .bytes = copies[i].bytes};
    counters_.copied_bytes += copies[i].bytes;
  }
  job->task.pages = std::span(job->pages.data(), job->page_count);
  // The worker reads the staging area: the attachment stays until the job is back, whatever becomes
  // of the client.
  ++attachment.copies_in_flight;
  QUIRE_CHECK(parts_.copies->submit(&job->task));
  return std::nullopt;
}

void FillRequests::abort(Attachment& attachment, const Submission& submission) {
  const auto aborted = parts_.cache->writer().abort(attachment.session().cached,
                                                    model::FillId{submission.args.abort_fill.fill});
  attachment.lane().complete(reply_to(submission, aborted.code()));
}

void FillRequests::finish_commit(CopyJob* job) {
  std::array<uint32_t, cache::kMaxPagesPerObject> checksums;
  for (uint32_t i = 0; i < job->page_count; ++i) checksums[i] = job->pages[i].crc32c;
  cache::ObjectWriter& writer = parts_.cache->writer();
  // The staging area is the process's, which may use it for something else once the session ended.
  const Linked done =
      job->attachment->ended
          ? writer.copied_in_vain(job->fill)
          : writer.copied(job->fill, std::span(job->page_indexes.data(), job->page_count),
                          std::span(checksums.data(), job->page_count));
  // The worker has let go of the staging area: an attachment that ended may go from here on.
  --job->attachment->copies_in_flight;
  // kParent has a deadline, a copy has none: from here on the commit can be late.
  if (done.outcome == FillOutcome::kWaiting) {
    parts_.requests->table().wait(job->pending, {WaitsFor::kParent, job->fill});
  } else {
    deliver(done, parts_.requests->end(job->pending));
  }
  parts_.jobs->give_back(job);
}

// Some of what waited for a parent span that has been linked, or that will not come.
size_t FillRequests::settle() {
  if (!parts_.cache->writer().has_settling()) return 0;
  linked_.clear();
  const uint32_t count = parts_.cache->writer().settle_waiting(kSettledPerTurn, linked_);
  for (const Linked& linked : linked_) {
    const PendingId id = parts_.requests->table().first_for(linked.fill);
    if (id.valid()) deliver(linked, parts_.requests->end(id));
  }
  return count;
}

// The session's other processes see its progress also when nobody is left to be told.
void FillRequests::deliver(const Linked& linked, const PendingRequest& commit) {
  Session& session = *commit.session;
  if (linked.outcome == FillOutcome::kVisible)
    parts_.turns->wrote(session, linked.kind, linked.end_units);
  if (linked.outcome == FillOutcome::kVisible && linked.kind == FillKind::kCheckpoint) {
    const auto tokens =
        linked.end_units * parts_.cache->layouts().find(session.layout)->layout.unit_tokens;
    session.progress_header().checkpoint_tokens.store(tokens, std::memory_order_release);
  }
  update_progress(session);
  if (commit.attachment != nullptr) complete_commit(commit, linked);
}

void FillRequests::complete_commit(const PendingRequest& commit, const Linked& linked) {
  const Errc code = outcome_code(linked.outcome);
  Completion completion = reply_to(commit.submission, code);
  if (code == Errc::kOk) {
    const bool duplicate = linked.outcome == FillOutcome::kDuplicate;
    completion.result.commit.visible = linked.outcome == FillOutcome::kVisible || duplicate ? 1 : 0;
    completion.result.commit.duplicate = duplicate ? 1 : 0;
    completion.result.commit.superseded = linked.superseded ? 1 : 0;
  }
  parts_.requests->complete(*commit.attachment, completion);
}

void FillRequests::update_progress(Session& session) {
  if (!session.cached.tip.valid()) return;
  const cache::KnownLayout& layout = *parts_.cache->layouts().find(session.layout);
  const uint32_t tokens = parts_.cache->store().tree().node(session.cached.tip.node()).units() *
                          layout.layout.unit_tokens;
  model::ProgressHeader& progress = session.progress_header();
  // The daemon alone writes these words, so its own last value is enough; clients load them with
  // acquire.
  if (progress.committed_tokens.load(std::memory_order_relaxed) == tokens) return;
  const uint32_t layers = std::min(layout.layer_count, model::kProgressLayers);
  // A span holds every layer, so all of them advance together with it.
  for (uint32_t i = 0; i < layers; ++i) {
    progress.ready_tokens[i].store(tokens, std::memory_order_release);
  }
  progress.committed_tokens.store(tokens, std::memory_order_release);
}

bool FillRequests::end_waiting(const PendingRequest& commit, model::FillId fill) {
  const Linked linked = parts_.cache->writer().end_waiting(fill);
  const bool good =
      linked.outcome == FillOutcome::kVisible || linked.outcome == FillOutcome::kDuplicate;
  if (good) deliver(linked, commit);
  return good;
}

bool FillRequests::step_end(Attachment& attachment, bool last_one, uint32_t& budget) {
  linked_.clear();
  const bool ended =
      parts_.cache->writer().end_holder(attachment.session().cached, attachment.holder_tag(),
                                        last_one, attachment.ended_fills_cursor, budget, linked_);
  for (const Linked& linked : linked_) {
    const PendingId id = parts_.requests->table().first_for(linked.fill);
    if (id.valid()) parts_.requests->end(id);  // nobody of the session is left to be told
  }
  return ended;
}

}  // namespace quire::server
