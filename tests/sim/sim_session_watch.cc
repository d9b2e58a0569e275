// What a session judges in the turn that brings an answer, while the state is what it was then.
#include <algorithm>

#include "model/boundary.h"
#include "tests/sim/sim_session.h"
#include "tests/sim/sim_sums.h"

namespace quire::tests {

using model::Completion;
using model::Errc;
using model::FillKind;
using model::Verb;

namespace {

// A commit that waits for its parent is settled in the turn that links that, or soon behind others.
constexpr uint64_t kTurnsToSettle = 4;
// Looks at a fill that waits while its domain could evict: many turns, in which the queue moves on.
constexpr uint32_t kStarvingLooks = 6;

}  // namespace

void SimSession::watch() {
  if (has_let_go_) return;
  patience_.note_taken(ring_.first_untaken());
  linked_now_.clear();
  while (const Completion* completion = ring_.look_ahead()) {
    patience_.answered(*completion);
    const auto found = find_request(*completion);
    if (found == requests_.end()) continue;  // take() says so
    found->answered = true;
    note_answer(*found, *completion);
  }
  if (!is_closed()) patience_.judge();
}

void SimSession::note_answer(const Request& request, const Completion& completion) {
  const auto code = code_of(completion);
  switch (static_cast<Verb>(request.submission.verb)) {
    case Verb::kMatch:
      if (code == Errc::kOk) {
        count_.matched(request.submission.args.match, completion.result.match);
      }
      return;
    case Verb::kLoad:
      return note_load(request, completion);
    case Verb::kBeginFill:
      return note_begin(request, completion);
    case Verb::kCommit:
      return note_commit(request, completion);
    default:
      return;
  }
}

void SimSession::note_begin(const Request& request, const Completion& completion) {
  const auto code = code_of(completion);
  if (code == Errc::kResourceExhausted) stage_->sums->judge_refusal(tenant());
  const model::BeginFillResult& result = completion.result.begin_fill;
  if (code != Errc::kOk || result.duplicate == 0 || result.incomplete != 0) return;
  const model::BeginFillArgs& args = request.submission.args.begin_fill;
  judge().became_visible(judge().place(identity_.root, identity_.chain,
                                       static_cast<FillKind>(args.kind), args.end_units),
                         true);
}

void SimSession::note_commit(const Request& request, const Completion& completion) {
  const auto code = code_of(completion);
  const Fill* fill = find_fill(request.thing);
  if (fill == nullptr) return;  // take() says so
  const SimJudge::Place& place = fill->place;
  const uint64_t turn = stage_->core->turn_count();
  if (code == Errc::kNoParent) return judge_parent(request, place, turn - 1);
  if (code == Errc::kDeadlineExceeded) return judge_parent(request, place, turn - kTurnsToSettle);
  if (code != Errc::kOk || completion.result.commit.visible == 0) return;
  judge().became_visible(place, completion.result.commit.duplicate != 0);
  linked_now_.push_back(place.key);
}

// A commit is refused, or given up, for want of its parent. Its own session may have linked that in
// this very turn: answers stand in the ring in the order in which the daemon came to them.
void SimSession::judge_parent(const Request& request, const SimJudge::Place& place,
                              uint64_t there_since) {
  if (!place.parent) return judge().fail("the root is no parent");
  const bool linked =
      std::find(linked_now_.begin(), linked_now_.end(), *place.parent) != linked_now_.end();
  if (linked || judge().was_there_since(*place.parent, there_since)) {
    judge().fail("a commit, sent in turn " + std::to_string(request.turn) +
                 ", has no parent or waits in vain for it, and it is there: " + text_of(place.key));
  }
}

void SimSession::note_load(const Request& request, const Completion& completion) {
  const auto code = code_of(completion);
  const model::LoadArgs& args = request.submission.args.load;
  const model::LoadResult& result = completion.result.load;
  if (code == Errc::kResourceExhausted) stage_->sums->judge_refusal(tenant());
  const Lease* lease = find_lease(args.lease);
  if (lease == nullptr) return;
  const bool delivers = code == Errc::kOk || code == Errc::kDeadlineExceeded ||
                        code == Errc::kIoError || code == Errc::kCorrupt;
  if (delivers) {
    const uint32_t tail_units = lease->exact_units % layout().units_per_block();
    count_.loaded(args, result, tail_units * layout().unit_tokens);
  }
  // A check by workers goes on for some turns, in which more may come.
  if (code == Errc::kDeadlineExceeded && !stage_->core->config().verify_hits) {
    judge_head(args, *lease, result.block_count);
  }
}

uint32_t SimSession::asked_blocks(const model::LoadArgs& args, const Lease& lease) const {
  const uint32_t per_block = layout().units_per_block();
  const uint32_t exact_blocks = std::min(lease.exact_units, lease.span_units) / per_block;
  if (args.block_count != 0) return args.block_count;
  return args.first_block < exact_blocks ? exact_blocks - args.first_block : 0;
}

// Law 15: the head that a late load delivers ends with the first block that RAM does not have.
void SimSession::judge_head(const model::LoadArgs& args, const Lease& lease,
                            uint32_t delivered_blocks) {
  if (delivered_blocks >= asked_blocks(args, lease)) return;
  const uint32_t units = (args.first_block + delivered_blocks + 1) * layout().units_per_block();
  const SimKey next{identity_.root, FillKind::kSpan, lease.chain[units - 1]};
  if (stage_->core->is_in_ram(next)) {
    judge().fail("a late load leaves out a block that RAM has: " + text_of(next));
  }
}

model::TenantId SimSession::tenant() const {
  const model::RootId root = attachment_->session().cached.root;
  return stage_->core->cache().names().root(root).tenant;
}

void SimSession::judge_starving(bool can_evict) {
  for (Request& request : requests_) {
    const bool waits = static_cast<Verb>(request.submission.verb) == Verb::kBeginFill &&
                       !request.answered && !has_let_go_ && !is_closed();
    request.starving_looks = waits && can_evict ? request.starving_looks + 1 : 0;
    if (request.starving_looks < kStarvingLooks) continue;
    return judge().fail("a fill that was sent in turn " + std::to_string(request.turn) +
                        " waits for memory, and room could be made all the time");
  }
}

}  // namespace quire::tests
