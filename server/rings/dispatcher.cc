#include "server/rings/dispatcher.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/limits.h"
#include "server/rings/prefix_queries.h"
#include "server/rings/replies.h"
#include "server/rings/session_reset.h"

namespace quire::server {

using cache::Linked;
using model::Completion;
using model::Errc;
using model::Submission;
using model::Verb;

namespace {

constexpr uint32_t kExpiredPerTurn = 64;

}  // namespace

model::Result<std::unique_ptr<Dispatcher>> Dispatcher::create(cache::Cache* cache,
                                                              tiering::CopyEngine* copies,
                                                              tiering::TierSet* tiers,
                                                              const model::Clock* clock,
                                                              const DispatcherOptions& options) {
  CopyJobs jobs = QUIRE_TRY(CopyJobs::create());
  PendingTable pending = QUIRE_TRY(PendingTable::create());
  return std::unique_ptr<Dispatcher>(
      new Dispatcher(cache, copies, tiers, clock, options, std::move(jobs), std::move(pending)));
}

Dispatcher::Dispatcher(cache::Cache* cache, tiering::CopyEngine* copies, tiering::TierSet* tiers,
                       const model::Clock* clock, const DispatcherOptions& options, CopyJobs jobs,
                       PendingTable pending)
    : cache_(cache),
      copies_(copies),
      tiers_(tiers),
      clock_(clock),
      jobs_(std::move(jobs)),
      requests_(std::move(pending), clock, options.default_deadline_ms),
      turns_({.cache = cache,
              .clock = clock,
              .sink = options.turn_sink,
              .ghosts = options.ghosts,
              .traces = options.traces,
              .memory = options.memory}),
      fills_({.cache = cache,
              .copies = copies,
              .jobs = &jobs_,
              .requests = &requests_,
              .turns = &turns_}),
      loads_({.cache = cache,
              .copies = copies,
              .tiers = tiers,
              .jobs = &jobs_,
              .requests = &requests_,
              .turns = &turns_,
              .verify_hits = options.verify_hits}),
      search_({.cache = cache,
               .tiers = tiers,
               .requests = &requests_,
               .clock = clock,
               .options = options.search}),
      ghosts_(options.ghosts),
      memory_check_(cache, copies, &jobs_),
      advisor_(cache, tiers, clock, options.default_deadline_ms) {}

Dispatcher::Served Dispatcher::serve(Attachment& attachment, uint32_t& steps_left) {
  bool worked = run_ready(attachment, steps_left);
  for (uint32_t served = 0; served < kSubmissionsPerTurn && steps_left > 0; ++served) {
    if (requests_.table().is_full()) break;  // a ring that is not taken from holds nobody else up
    const Lane::Next next = attachment.lane().next();
    if (next == Lane::Next::kNone) break;
    // Nothing more is taken from a client that writes impossible indexes, and its session ends (law
    // 11).
    if (next == Lane::Next::kScribbled) return Served::kScribbled;
    const Submission submission = attachment.lane().take();
    ++counters_.submissions;
    worked = true;
    const bool known = submission.flags == 0 && submission.verb < model::kVerbCount;
    if (!known) return Served::kScribbled;
    requests_.times().took(submission.verb);
    // In order within a verb: what came before is answered before. Other verbs pass, above all a
    // release.
    const auto wait = attachment.pending.is_waiting(submission.verb)
                          ? Wait{WaitsFor::kBehind, {}}
                          : handle_counted(attachment, submission, {}, steps_left);
    if (wait) keep(attachment, submission, *wait);
  }
  // A fill that went on here may have answered other processes that share it.
  requests_.publish();
  attachment.lane().publish();
  return worked ? Served::kSome : Served::kNothing;
}

// Most submissions may take more than is left: their cost is known afterwards.
std::optional<Wait> Dispatcher::handle_counted(Attachment& attachment, const Submission& submission,
                                               PendingId id, uint32_t& steps_left) {
  const uint64_t before = cache_->store().work().steps();
  const bool fills = id.valid() && requests_.table().waits(id).what == WaitsFor::kMemory;
  const auto wait = fills ? fills_.go_on(requests_.table().waits(id).fill)
                          : handle(attachment, submission, id, steps_left);
  const uint64_t steps = cache_->store().work().steps() - before;
  counters_.largest_steps.raise_to(steps);
  // One more than was counted: a request that touches nothing still takes its time.
  steps_left -= static_cast<uint32_t>(std::min<uint64_t>(steps_left, 1 + steps));
  return wait;
}

void Dispatcher::keep(Attachment& attachment, const Submission& submission, const Wait& wait) {
  PendingRequest request = requests_.make(attachment, submission);
  // It was taken and comes to its end in a bounded number of turns: in the middle of it there is
  // nothing to undo for a deadline.
  if (wait.what == WaitsFor::kTurn) request.deadline_ns = kNoDeadline;
  // A release, or a load of which a part is pinned, is not refused. For these the table keeps its
  // second half.
  const bool refusable = request.deadline_ns != kNoDeadline;
  if (refusable && !requests_.table().has_room(request.domain)) {
    if (wait.what == WaitsFor::kSearch) return answer_match(attachment, submission);
    if (wait.what == WaitsFor::kMemory) {
      // The fill waits in the memory queue already; nobody waits for it any more.
      cache_->writer().leave(wait.fill, attachment.holder_tag());
    }
    attachment.lane().complete(reply_to(submission, Errc::kBusy));
    return;
  }
  const PendingId id = requests_.add(attachment, request, wait);
  if (wait.what == WaitsFor::kSearch) return search_.begin(id);
  if (wait.what != WaitsFor::kTurn) ++counters_.parked;
}

// What may go on, verb by verb and each in turn: a stream of long loads must not be in front of the
// release that frees their memory. True when there was something.
bool Dispatcher::run_ready(Attachment& attachment, uint32_t& steps_left) {
  PendingLists& lists = attachment.pending;
  if (lists.ready_verbs == 0) return false;
  const uint32_t ready = lists.ready_verbs;  // what becomes ready meanwhile has the next turn
  // Begins behind the verb that was served last: with steps for one verb only, each still gets its
  // turn.
  const uint32_t first = lists.next_verb;
  for (uint32_t n = 0; n < model::kVerbCount && steps_left > 0; ++n) {
    const uint32_t verb = (first + n) % model::kVerbCount;
    if ((ready >> verb & 1) == 0) continue;
    lists.next_verb = verb + 1;
    run_queue(attachment, static_cast<uint16_t>(verb), steps_left);
  }
  return true;
}

// The first of a verb's, and the next one when that is done.
void Dispatcher::run_queue(Attachment& attachment, uint16_t verb, uint32_t& steps_left) {
  PendingLists& lists = attachment.pending;
  while (steps_left > 0 && (lists.ready_verbs >> verb & 1) != 0) {
    const PendingId id = requests_.table().take_ready(lists, verb);
    // Read before the request goes on: it may end without the job that it was woken for.
    const bool had_no_job = requests_.table().waits(id).what == WaitsFor::kCopyJob;
    const Submission submission = requests_.table().request(id).submission;
    const auto wait = handle_counted(attachment, submission, id, steps_left);
    if (wait) {
      // It comes to its end in some turns, as it would have done in one.
      if (wait->what == WaitsFor::kTurn) requests_.table().drop_deadline(id);
      requests_.table().wait(id, *wait);
      if (wait->what == WaitsFor::kSearch) search_.begin(id);
      return;
    }
    // A fill that went on has answered all who waited for it, this record too; a load may be under
    // way.
    const bool answered = requests_.table().is_live(id) && !requests_.table().is_under_way(id);
    if (answered) requests_.end(id);
    if (had_no_job) wake_for_copy_job(attachment.session().domain);  // another may be free
  }
}

bool Dispatcher::wake_for_copy_job(model::DomainId domain) {
  const PendingId id = requests_.table().first_for_copy_job(domain);
  if (!id.valid() || !jobs_.has_room(domain)) return false;
  requests_.wake(id);
  return true;
}

// Events of this turn, each to the one that it is for: the cost is that of the events, not of those
// who wait.
size_t Dispatcher::wake_waiting() {
  size_t woken = 0;
  const bool jobs_came = jobs_.take_news() || requests_.take_left_job();
  if (jobs_came && requests_.table().count(WaitsFor::kCopyJob) > 0) {
    for (uint16_t d = 0; d < cache::kMaxDomains; ++d) {
      woken += wake_for_copy_job(model::DomainId{d}) ? 1 : 0;
    }
  }
  while (const auto fill = cache_->writer().next_woken()) {
    requests_.wake(requests_.table().first_for(*fill));  // every fill that reserves has a request
    ++woken;
  }
  return woken;
}

size_t Dispatcher::expire_pending() {
  // Asking for the time costs as much as the rest of a turn without work.
  if (requests_.table().next_deadline_ns() == kNoDeadline) return 0;
  const int64_t now_ns = clock_->now_ns();
  size_t count = 0;
  for (; count < kExpiredPerTurn; ++count) {
    const PendingId id = requests_.table().due(now_ns);
    if (!id.valid()) break;
    const Wait wait = requests_.table().waits(id);
    if (requests_.table().request(id).submission.verb == static_cast<uint16_t>(Verb::kMatch)) {
      search_.expire(id);
      continue;
    }
    // Out of the table first: what is settled or left below must not find it waiting.
    const PendingRequest request = requests_.end(id);
    if (wait.what == WaitsFor::kParent && fills_.end_waiting(request, wait.fill)) continue;
    ++counters_.deadline_exceeded;
    if (wait.what == WaitsFor::kMemory) {
      cache_->writer().leave(wait.fill, request.attachment->holder_tag());
    }
    if (request.attachment == nullptr) continue;  // of a commit, whose process is gone
    requests_.complete(*request.attachment, reply_to(request.submission, Errc::kDeadlineExceeded));
  }
  return count;
}

// `id`: of one that waited. Nothing: it was answered, or is under way.
std::optional<Wait> Dispatcher::handle(Attachment& attachment, const Submission& submission,
                                       PendingId id, uint32_t steps_left) {
  switch (static_cast<Verb>(submission.verb)) {
    case Verb::kNoop:
      attachment.lane().complete(reply_to(submission));
      return std::nullopt;
    case Verb::kMatch:
      return match(attachment, submission, id);
    case Verb::kLoad:
      return loads_.load(attachment, submission, id, steps_left);
    case Verb::kRelease:
      return loads_.release(attachment, submission, steps_left);
    case Verb::kBeginFill:
      return fills_.begin(attachment, submission);
    case Verb::kCommit:
      return fills_.commit(attachment, submission, id);
    case Verb::kAbortFill:
      fills_.abort(attachment, submission);
      return std::nullopt;
    case Verb::kSupersede:
      supersede(attachment, submission);
      return std::nullopt;
    case Verb::kAdvise:
      advise(attachment, submission);
      return std::nullopt;
    case Verb::kResumed:
      resumed(attachment, submission);
      return std::nullopt;
    case Verb::kPositions:
      attachment.lane().complete(answer_positions(*cache_, attachment, submission));
      return std::nullopt;
    case Verb::kLocate:
      attachment.lane().complete(answer_locate(*cache_, attachment, submission));
      return std::nullopt;
    case Verb::kReset:
      attachment.lane().complete(
          reply_to(submission, reset_session(*cache_, turns_, attachment, submission.args.reset)));
      return std::nullopt;
  }
  QUIRE_CHECK(false);  // serve() looked
}

// One that has waited for a search is answered, whatever came of it.
std::optional<Wait> Dispatcher::match(Attachment& attachment, const Submission& submission,
                                      PendingId id) {
  const bool searched = id.valid() && requests_.table().waits(id).what == WaitsFor::kSearch;
  if (!searched) {
    if (auto wait = search_.wanted(attachment, submission, id)) return wait;
  }
  answer_match(attachment, submission);
  return std::nullopt;
}

void Dispatcher::answer_match(Attachment& attachment, const Submission& submission) {
  const model::MatchArgs& args = submission.args.match;
  // The submission is the client's word. The hashes that it names have to lie in its own area.
  if (args.unit_count > attachment.lane().shape().max_units) {
    attachment.lane().complete(reply_to(submission, Errc::kInvalidArgument));
    return;
  }
  const cache::ChainView chain = attachment.lane().chain().first(args.unit_count);
  const cache::PrefillCost cost{args.prefill_us_per_ktoken, args.prefill_us_per_ktoken_per_mtoken};
  cache::CacheSession& session = attachment.session().cached;
  auto matched = cache_->reader().match(session, attachment.leases, chain, args.prompt_tokens,
                                        args.have_tokens, cost);
  const uint32_t per_block = cache_->names().root(session.root).layout->units_per_block;
  if (tiers_ != nullptr && chain.count() >= per_block) {
    // The first block stands for the conversation: admission asks how often it came back.
    tiers_->note_use(chain.after(per_block));
  }
  Completion completion = reply_to(submission, matched.code());
  if (matched.ok()) {
    completion.result.match = *matched;
    turns_.matched(attachment, args, *matched);
  } else if (matched.code() == Errc::kStaleHandle) {
    turns_.refused_as_stale(attachment, args);
  }
  attachment.lane().complete(completion);
}

void Dispatcher::resumed(Attachment& attachment, const Submission& submission) {
  const auto turn = turns_.resumed(attachment.session(), submission.args.resumed);
  Completion completion = reply_to(submission, turn.code());
  if (turn.ok()) completion.result.resumed = *turn;
  attachment.lane().complete(completion);
}

void Dispatcher::supersede(Attachment& attachment, const Submission& submission) {
  Completion completion = reply_to(submission);
  completion.result.supersede.dropped =
      cache_->writer().turn_ends().supersede(attachment.session().cached, attachment.lane().chain(),
                                             submission.args.supersede.end_units)
          ? 1
          : 0;
  attachment.lane().complete(completion);
}

void Dispatcher::advise(Attachment& attachment, const Submission& submission) {
  const model::AdviseArgs& args = submission.args.advise;
  const bool known = args.advice <= static_cast<uint8_t>(model::Advice::kDoneWith);
  if (!known || args.end_units > attachment.lane().shape().max_units) {
    attachment.lane().complete(reply_to(submission, Errc::kInvalidArgument));
    return;
  }
  advisor_.take(attachment.session().cached, attachment.lane().chain(), args);
  attachment.lane().complete(reply_to(submission));
}

bool Dispatcher::background(int64_t now_ns) {
  advisor_.step(now_ns);
  bool moved = turns_.step(now_ns);
  moved = memory_check_.step(now_ns) || moved;
  if (ghosts_ != nullptr) {
    moved = ghosts_->step() || moved;
    ghosts_->apply(cache_->rules(), now_ns);
  }
  return moved;
}

size_t Dispatcher::finish_copies() {
  std::array<tiering::CopyTask*, 64> done;
  const size_t count = copies_->poll(done);
  for (size_t i = 0; i < count; ++i) {
    CopyJob* job = jobs_.of(*done[i]);
    if (job->purpose == CopyPurpose::kVerify) {
      loads_.finish_check(job);
    } else if (job->purpose == CopyPurpose::kMemory) {
      memory_check_.finish(job);
    } else {
      fills_.finish_commit(job);
    }
  }
  // In this order, whatever the compiler: a run of the simulator follows from its seed alone.
  size_t events = fills_.settle();
  events += expire_pending();
  events += wake_waiting();
  requests_.publish();
  return count + events;
}

size_t Dispatcher::finish_loads() {
  const size_t count = loads_.step() + search_.step();
  requests_.publish();
  return count;
}

void Dispatcher::end(Attachment& attachment) {
  attachment.ended = true;
  // What is pinned so far is the lease's, and goes with it; the hold must not keep the lease.
  attachment.loading = {};
  requests_.forget(attachment);
  if (ghosts_ != nullptr) ghosts_->forget(&attachment);
  PendingTable& pending = requests_.table();
  PendingLists& lists = attachment.pending;
  for (PendingId id = pending.first_of(lists); id.valid(); id = pending.first_of(lists)) {
    const Wait wait = pending.waits(id);
    // Loads have records of their own, here and at the tiers or the workers.
    if (wait.what == WaitsFor::kTier || wait.what == WaitsFor::kCheck) {
      loads_.end(id);
    } else if (pending.is_under_way(id)) {
      pending.detach(id);  // the object may serve the session's others
    } else {
      requests_.end(id);
      if (wait.what == WaitsFor::kSearch) search_.end(id);
      if (wait.what == WaitsFor::kMemory) {
        cache_->writer().leave(wait.fill, attachment.holder_tag());
      }
    }
  }
}

bool Dispatcher::step_end(Attachment& attachment, uint32_t& budget) {
  Session& session = attachment.session();
  const bool last_one = session.member_count == 0;
  if (!attachment.fills_ended) {
    attachment.fills_ended = fills_.step_end(attachment, last_one, budget);
  }
  // Leases whose pages are still read by a check stay until it is done.
  const bool released = cache_->loader().release_some(attachment.leases, budget);
  // The session stays as long as its fills: copies that are under way, and what is settled, name
  // it.
  const bool session_waits = last_one && session.cached.fill_count > 0;
  return attachment.fills_ended && released && !session_waits && attachment.copies_in_flight == 0;
}

void Dispatcher::describe_times(model::MetricSink& sink) const {
  for (uint16_t verb = 0; verb < model::kVerbCount; ++verb) {
    describe_time(model::verb_name(static_cast<Verb>(verb)), requests_.times().of(verb), sink);
  }
}

void Dispatcher::describe(model::MetricSink& sink) const {
  using model::MetricFamily;
  model::describe(sink, counters_);
  model::describe(sink, fills_.counters());
  sink.gauge("waiting_commits", waiting_commits(), "Commits that wait for a parent or a copy",
             {MetricFamily::kQueueDepth, R"(queue="commits")"});
  sink.gauge("searching_matches", searching_matches(), "Matches that a tier is asked for",
             {MetricFamily::kQueueDepth, R"(queue="matches")"});
  sink.gauge("waiting_loads", waiting_loads(), "Loads that wait for what is brought to RAM",
             {MetricFamily::kQueueDepth, R"(queue="loads")"});
  sink.counter("checksum_failures", checksum_failures(), "Pages that were not what was sealed",
               {MetricFamily::kChecksumFailures, R"(tier="ram",kind="hit")"});
  sink.gauge("paused", paused_count(), "Sessions whose pages are to be back at a time");
}

}  // namespace quire::server
