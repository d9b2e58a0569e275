#include "server/rings/dispatcher.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "model/limits.h"
#include "server/rings/prefix_queries.h"
#include "server/rings/replies.h"

namespace quire::server {

using cache::FillOutcome;
using cache::Linked;
using model::Completion;
using model::Errc;
using model::FillKind;
using model::Submission;
using model::Verb;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();
constexpr uint32_t kSettledPerTurn = 64;  // waiting commits that end in one turn, for each reason

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

model::Result<std::unique_ptr<Dispatcher>> Dispatcher::create(cache::Cache* cache,
                                                              tiering::CopyEngine* copies,
                                                              tiering::TierSet* tiers,
                                                              const model::Clock* clock,
                                                              const DispatcherOptions& options) {
  CopyJobs jobs = QUIRE_TRY(CopyJobs::create());
  WaitingCommits waiting = QUIRE_TRY(WaitingCommits::create());
  return std::unique_ptr<Dispatcher>(
      new Dispatcher(cache, copies, tiers, clock, options, std::move(jobs), std::move(waiting)));
}

Dispatcher::Dispatcher(cache::Cache* cache, tiering::CopyEngine* copies, tiering::TierSet* tiers,
                       const model::Clock* clock, const DispatcherOptions& options, CopyJobs jobs,
                       WaitingCommits waiting)
    : cache_(cache),
      copies_(copies),
      tiers_(tiers),
      loads_(cache, tiers),
      clock_(clock),
      options_(options),
      jobs_(std::move(jobs)),
      checks_(cache, copies, &jobs_),
      memory_check_(cache, copies, &jobs_),
      advisor_(cache, tiers, &loads_, clock, options.default_deadline_ms),
      turns_(cache, clock, options.turn_sink),
      waiting_(std::move(waiting)) {}

Dispatcher::Served Dispatcher::serve(Attachment& attachment, uint32_t& steps_left) {
  const bool retried = !attachment.parked.empty() && retry_parked(attachment, steps_left);
  uint32_t served = 0;
  for (; served < kSubmissionsPerTurn && steps_left > 0; ++served) {
    const Attachment::Next next = attachment.next();
    if (next == Attachment::Next::kNone) break;
    if (next == Attachment::Next::kScribbled) return Served::kScribbled;
    const Submission submission = attachment.take();
    ++counters_.submissions;
    const bool known = submission.flags == 0 && submission.verb < model::kVerbCount;
    if (!known) return Served::kScribbled;
    const bool behind = (attachment.parked_verbs >> submission.verb & 1) != 0;
    const Step step = behind ? Step::kPark : handle_counted(attachment, submission, 0, steps_left);
    if (step != Step::kDone) park(attachment, submission, step);
  }
  attachment.publish();
  return served > 0 || retried ? Served::kSome : Served::kNothing;
}

// Most submissions may take more than is left: their cost is known afterwards.
Dispatcher::Step Dispatcher::handle_counted(Attachment& attachment, const Submission& submission,
                                            int64_t deadline, uint32_t& steps_left) {
  const uint64_t before = cache_->store().work().steps();
  const Step step = handle(attachment, submission, deadline, steps_left);
  const uint64_t steps = cache_->store().work().steps() - before;
  counters_.largest_steps.raise_to(steps);
  steps_left -= static_cast<uint32_t>(std::min<uint64_t>(steps_left, 1 + steps));
  return step;
}

void Dispatcher::park(Attachment& attachment, const Submission& submission, Step step) {
  // A lease that nobody releases would stay.
  const bool in_any_case =
      step == Step::kMore || static_cast<Verb>(submission.verb) == Verb::kRelease;
  const int64_t deadline = in_any_case ? kNoDeadline : clock_->now_ns() + deadline_ns(submission);
  const bool first = attachment.parked.empty() || deadline < attachment.next_deadline_ns;
  if (first) attachment.next_deadline_ns = deadline;
  attachment.parked.push_back({submission, deadline});
  attachment.parked_verbs |= 1u << submission.verb;
  if (step == Step::kPark) ++counters_.parked;
}

// Tries the first of each verb, and the next one when that is done. True when anything came of it.
bool Dispatcher::retry_parked(Attachment& attachment, uint32_t& steps_left) {
  const uint64_t evictions = cache_->store().counters().made_room();
  const bool expired = clock_->now_ns() >= attachment.next_deadline_ns;
  uint32_t stuck = 0;
  bool any_done = false;
  bool any_more = false;
  for (ParkedSubmission& parked : attachment.parked) {
    if (stuck == attachment.parked_verbs && !expired) break;
    const Step step = retry_one(attachment, parked, stuck, steps_left);
    parked.done = step == Step::kDone;
    any_done = any_done || parked.done;
    any_more = any_more || step == Step::kMore;
  }
  if (any_done || expired) {
    std::erase_if(attachment.parked, [](const ParkedSubmission& one) { return one.done; });
    attachment.parked_verbs = 0;
    attachment.next_deadline_ns = kNoDeadline;
    for (const ParkedSubmission& one : attachment.parked) {
      attachment.parked_verbs |= 1u << one.submission.verb;
      attachment.next_deadline_ns = std::min(attachment.next_deadline_ns, one.deadline_ns);
    }
    attachment.publish();
  }
  return any_done || any_more || cache_->store().counters().made_room() != evictions;
}

// kDone: it was completed. `stuck`: verbs of which one waits on.
Dispatcher::Step Dispatcher::retry_one(Attachment& attachment, ParkedSubmission& parked,
                                       uint32_t& stuck, uint32_t& steps_left) {
  const uint32_t verb = 1u << parked.submission.verb;
  const bool in_turn = (stuck & verb) == 0 && steps_left > 0;
  Step step = Step::kPark;
  if (in_turn) {
    step = handle_counted(attachment, parked.submission, parked.deadline_ns, steps_left);
    if (step == Step::kDone) return step;
  }
  // It will come to its end in some turns, as it would have done in one.
  if (step == Step::kMore) parked.deadline_ns = kNoDeadline;
  if (clock_->now_ns() < parked.deadline_ns) {
    stuck |= verb;
    return step;
  }
  ++counters_.deadline_exceeded;
  attachment.complete(reply_to(parked.submission, Errc::kDeadlineExceeded));
  return Step::kDone;
}

// From when it was taken.
int64_t Dispatcher::deadline_ns(const Submission& submission) const {
  const uint32_t deadline_ms =
      submission.deadline_ms == 0 ? options_.default_deadline_ms : submission.deadline_ms;
  return std::min(deadline_ms, model::kMaxDeadlineMs) * kNsPerMs;
}

// `deadline`: of one that was parked, on the clock; 0: it was taken just now.
Dispatcher::Step Dispatcher::handle(Attachment& attachment, const Submission& submission,
                                    int64_t deadline, uint32_t steps_left) {
  switch (static_cast<Verb>(submission.verb)) {
    case Verb::kNoop:
      attachment.complete(reply_to(submission));
      return Step::kDone;
    case Verb::kMatch:
      match(attachment, submission);
      return Step::kDone;
    case Verb::kLoad:
      return load(attachment, submission, steps_left);
    case Verb::kRelease:
      return release(attachment, submission, steps_left);
    case Verb::kBeginFill:
      return begin_fill(attachment, submission);
    case Verb::kCommit:
      return commit(attachment, submission, deadline);
    case Verb::kAbortFill:
      abort_fill(attachment, submission);
      return Step::kDone;
    case Verb::kSupersede:
      supersede(attachment, submission);
      return Step::kDone;
    case Verb::kAdvise:
      advise(attachment, submission);
      return Step::kDone;
    case Verb::kResumed:
      resumed(attachment, submission);
      return Step::kDone;
    case Verb::kPositions:
      attachment.complete(answer_positions(*cache_, attachment, submission));
      return Step::kDone;
    case Verb::kLocate:
      attachment.complete(answer_locate(*cache_, attachment, submission));
      return Step::kDone;
  }
  QUIRE_CHECK(false);  // serve() looked
}

void Dispatcher::match(Attachment& attachment, const Submission& submission) {
  const model::MatchArgs& args = submission.args.match;
  if (args.unit_count > attachment.shape().max_units) {
    attachment.complete(reply_to(submission, Errc::kInvalidArgument));
    return;
  }
  const cache::ChainView chain = attachment.chain().first(args.unit_count);
  const cache::PrefillCost cost{args.prefill_us_per_ktoken, args.prefill_us_per_ktoken_per_mtoken};
  cache::CacheSession& session = attachment.session().cached;
  auto matched = cache_->reader().match(session, attachment.leases, chain, args.prompt_tokens,
                                        args.have_tokens, cost);
  const uint32_t per_block = cache_->names().root(session.root).layout->units_per_block;
  if (tiers_ != nullptr && chain.count() >= per_block) {
    tiers_->note_use(chain.after(per_block));
  }
  Completion completion = reply_to(submission, matched.code());
  if (matched.ok()) {
    completion.result.match = *matched;
    turns_.matched(attachment, args, *matched);
  }
  attachment.complete(completion);
}

void Dispatcher::resumed(Attachment& attachment, const Submission& submission) {
  const auto turn = turns_.resumed(attachment.session(), submission.args.resumed);
  Completion completion = reply_to(submission, turn.code());
  if (turn.ok()) completion.result.resumed.turn = *turn;
  attachment.complete(completion);
}

Dispatcher::Step Dispatcher::begin_fill(Attachment& attachment, const Submission& submission) {
  Session& session = attachment.session();
  auto begun = cache_->writer().begin(session.cached, attachment.holder_tag(), attachment.chain(),
                                      submission.args.begin_fill);
  if (begun.ok() && begun->kind == cache::BeginOutcome::Kind::kPending) return Step::kPark;
  Completion completion = reply_to(submission, begun.code());
  if (begun.ok()) {
    const bool duplicate = begun->kind == cache::BeginOutcome::Kind::kDuplicate;
    const bool written = begun->kind == cache::BeginOutcome::Kind::kWritten;
    completion.result.begin_fill.duplicate = duplicate || written ? 1 : 0;
    completion.result.begin_fill.incomplete = written ? 1 : 0;
    completion.result.begin_fill.fill = duplicate || written ? 0 : begun->fill.value;
    if (duplicate) update_progress(session);
  }
  attachment.complete(completion);
  return Step::kDone;
}

// Where bytes are copied: from the session's staging area to pool slots, by a copy worker, with
// CRC32C in the same pass. Continues in finish_commit().
Dispatcher::Step Dispatcher::commit(Attachment& attachment, const Submission& submission,
                                    int64_t deadline) {
  CopyJob* job = jobs_.take(attachment.session().domain);
  if (job == nullptr) return Step::kPark;
  std::array<cache::PageCopy, cache::kMaxPagesPerObject> copies;
  const model::CommitArgs& args = submission.args.commit;
  const auto taken = cache_->writer().take(attachment.session().cached, attachment.holder_tag(),
                                           args, attachment.shape().staging_bytes, copies);
  if (!taken.ok()) {
    jobs_.give_back(job);
    attachment.complete(reply_to(submission, taken.code()));
    return Step::kDone;
  }
  job->purpose = CopyPurpose::kCommit;
  job->attachment = &attachment;
  job->user_data = submission.user_data;
  job->deadline_ns = deadline != 0 ? deadline : clock_->now_ns() + deadline_ns(submission);
  job->fill = model::FillId{args.fill};
  job->page_count = static_cast<uint32_t>(*taken);
  for (size_t i = 0; i < *taken; ++i) {
    job->page_indexes[i] = copies[i].page_index;
    job->pages[i] = {.source = attachment.staging() + copies[i].staging_offset,
                     .target = copies[i].target,
                     .bytes = copies[i].bytes};
    counters_.copied_bytes += copies[i].bytes;
  }
  job->task.pages = std::span(job->pages.data(), job->page_count);
  ++attachment.copies_in_flight;
  QUIRE_CHECK(copies_->submit(&job->task));
  return Step::kDone;
}

void Dispatcher::abort_fill(Attachment& attachment, const Submission& submission) {
  const auto aborted = cache_->writer().abort(attachment.session().cached,
                                              model::FillId{submission.args.abort_fill.fill});
  attachment.complete(reply_to(submission, aborted.code()));
}

void Dispatcher::supersede(Attachment& attachment, const Submission& submission) {
  Completion completion = reply_to(submission);
  completion.result.supersede.dropped =
      cache_->writer().supersede(attachment.session().cached, attachment.chain(),
                                 submission.args.supersede.end_units)
          ? 1
          : 0;
  attachment.complete(completion);
}

void Dispatcher::advise(Attachment& attachment, const Submission& submission) {
  const model::AdviseArgs& args = submission.args.advise;
  const bool known = args.advice <= static_cast<uint8_t>(model::Advice::kDoneWith);
  if (!known || args.end_units > attachment.shape().max_units) {
    attachment.complete(reply_to(submission, Errc::kInvalidArgument));
    return;
  }
  advisor_.take(attachment.session().cached, attachment.chain(), args);
  attachment.complete(reply_to(submission));
}

bool Dispatcher::background(int64_t now_ns) {
  advisor_.step(now_ns);
  return memory_check_.step(now_ns);
}

size_t Dispatcher::finish_copies() {
  std::array<tiering::CopyTask*, 64> done;
  const size_t count = copies_->poll(done);
  for (size_t i = 0; i < count; ++i) {
    CopyJob* job = jobs_.of(*done[i]);
    if (job->purpose == CopyPurpose::kVerify) {
      finish_check(job);
    } else if (job->purpose == CopyPurpose::kMemory) {
      memory_check_.finish(job);
    } else {
      finish_commit(job);
    }
  }
  const size_t settled = settle_waiting() + expire_waiting();
  for (Attachment* attachment : touched_) attachment->publish();
  touched_.clear();
  return count + settled;
}

void Dispatcher::finish_commit(CopyJob* job) {
  std::array<uint32_t, cache::kMaxPagesPerObject> checksums;
  for (uint32_t i = 0; i < job->page_count; ++i) checksums[i] = job->pages[i].crc32c;
  const Linked done =
      cache_->writer().copied(job->fill, std::span(job->page_indexes.data(), job->page_count),
                              std::span(checksums.data(), job->page_count));
  Attachment& attachment = *job->attachment;
  --attachment.copies_in_flight;
  const WaitingCommit commit{.session = &attachment.session(),
                             .attachment = &attachment,
                             .user_data = job->user_data,
                             .deadline_ns = job->deadline_ns};
  if (done.outcome == FillOutcome::kWaiting) {
    waiting_.add(job->fill, commit);
    if (attachment.ended) waiting_.forget(attachment);
  } else {
    deliver(done, commit);
  }
  jobs_.give_back(job);
}

// Some of what waited for a parent span that has been linked, or that will not come.
size_t Dispatcher::settle_waiting() {
  if (!cache_->writer().has_settling()) return 0;
  linked_.clear();
  const uint32_t count = cache_->writer().settle_waiting(kSettledPerTurn, linked_);
  for (const Linked& linked : linked_) {
    const auto commit = waiting_.take(linked.fill);
    if (commit) deliver(linked, *commit);
  }
  return count;
}

size_t Dispatcher::expire_waiting() {
  if (waiting_.count() == 0) return 0;
  const int64_t now_ns = clock_->now_ns();
  size_t count = 0;
  for (; count < kSettledPerTurn; ++count) {
    const auto fill = waiting_.due(now_ns);
    if (!fill) break;
    const WaitingCommit commit = *waiting_.take(*fill);
    cache_->writer().drop_waiting(*fill);
    ++counters_.deadline_exceeded;
    if (commit.attachment != nullptr) {
      complete_commit(*commit.attachment, commit.user_data, Errc::kDeadlineExceeded, {});
    }
  }
  return count;
}

// The session's other processes see its progress also when nobody is left to be told.
void Dispatcher::deliver(const Linked& linked, const WaitingCommit& commit) {
  Session& session = *commit.session;
  if (linked.outcome == FillOutcome::kVisible) turns_.wrote(session, linked.kind, linked.end_units);
  if (linked.outcome == FillOutcome::kVisible && linked.kind == FillKind::kCheckpoint) {
    const auto tokens =
        linked.end_units * cache_->layouts().find(session.layout)->layout.unit_tokens;
    session.progress_header().checkpoint_tokens.store(tokens, std::memory_order_release);
  }
  update_progress(session);
  if (commit.attachment == nullptr || commit.attachment->ended) return;
  complete_commit(*commit.attachment, commit.user_data, outcome_code(linked.outcome), linked);
}

void Dispatcher::complete_commit(Attachment& attachment, uint64_t user_data, Errc code,
                                 const Linked& linked) {
  Completion completion{};
  completion.user_data = user_data;
  completion.code = static_cast<int32_t>(code);
  completion.verb = static_cast<uint16_t>(Verb::kCommit);
  if (code == Errc::kOk) {
    const bool duplicate = linked.outcome == FillOutcome::kDuplicate;
    completion.result.commit.visible = linked.outcome == FillOutcome::kVisible || duplicate ? 1 : 0;
    completion.result.commit.duplicate = duplicate ? 1 : 0;
    completion.result.commit.superseded = linked.superseded ? 1 : 0;
  }
  attachment.complete(completion);
  touched_.push_back(&attachment);
}

void Dispatcher::update_progress(Session& session) {
  if (!session.cached.tip.valid()) return;
  const cache::KnownLayout& layout = *cache_->layouts().find(session.layout);
  const uint32_t tokens =
      cache_->store().tree().node(session.cached.tip.node()).units() * layout.layout.unit_tokens;
  model::ProgressHeader& progress = session.progress_header();
  if (progress.committed_tokens.load(std::memory_order_relaxed) == tokens) return;
  const uint32_t layers = std::min(layout.layer_count, model::kProgressLayers);
  // A span holds every layer, so all of them advance together with it.
  for (uint32_t i = 0; i < layers; ++i) {
    progress.ready_tokens[i].store(tokens, std::memory_order_release);
  }
  progress.committed_tokens.store(tokens, std::memory_order_release);
}

void Dispatcher::end(Attachment& attachment) {
  attachment.ended = true;
  attachment.parked.clear();
  attachment.parked_verbs = 0;
  attachment.loading = {};
  std::erase(touched_, &attachment);
  loads_.end(attachment);
  waiting_.forget(attachment);
}

bool Dispatcher::step_end(Attachment& attachment, uint32_t& budget) {
  Session& session = attachment.session();
  cache::ObjectWriter& writer = cache_->writer();
  const bool last_one = session.member_count == 0;
  if (!attachment.fills_ended) {
    linked_.clear();
    attachment.fills_ended = writer.end_holder(session.cached, attachment.holder_tag(), last_one,
                                               attachment.ended_fills_cursor, budget, linked_);
    for (const Linked& linked : linked_) (void)waiting_.take(linked.fill);
  }
  // A check that is still reading pages keeps them pinned until it is done.
  const bool released =
      !checks_.holds(attachment) && cache_->reader().release_some(attachment.leases, budget);
  const bool session_waits = last_one && session.cached.fill_count > 0;
  return attachment.fills_ended && released && !session_waits && attachment.copies_in_flight == 0;
}

void Dispatcher::describe(model::MetricSink& sink) const {
  model::describe(sink, counters_);
  sink.gauge("waiting_commits", waiting_commits(), "Commits that wait for a parent or a copy");
  sink.counter("checksum_failures", checksum_failures(), "Pages that were not what was sealed");
  sink.gauge("paused", paused_count(), "Sessions whose pages are to be back at a time");
}

}  // namespace quire::server
