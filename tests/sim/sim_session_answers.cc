// How a session takes the answers to what it sent (sim_session.cc), and what the judge is told.
#include <algorithm>
#include <bit>

#include "model/boundary.h"
#include "tests/sim/sim_session.h"
#include "tests/sim/sim_shape.h"

namespace quire::tests {

using model::Completion;
using model::Errc;
using model::FillKind;
using model::Verb;

namespace {

bool is_one_of(Errc code, std::initializer_list<Errc> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

}  // namespace

auto SimSession::find_request(const Completion& completion) -> std::vector<Request>::iterator {
  return std::find_if(requests_.begin(), requests_.end(), [&](const Request& one) {
    return one.submission.user_data == completion.user_data;
  });
}

bool SimSession::take(uint32_t count) {
  if (has_let_go_) return false;
  uint32_t taken = 0;
  for (; taken < count; ++taken) {
    const std::optional<Completion> completion = ring_.take();
    if (!completion) break;
    const auto found = find_request(*completion);
    if (found == requests_.end()) {
      judge().fail("an answer to what was not asked, or was answered");
      return true;
    }
    const Request request = *found;
    requests_.erase(found);
    if (completion->verb != request.submission.verb) judge().fail("an answer to another verb");
    answer(request, *completion);
  }
  return taken > 0;
}

void SimSession::unexpected(const Request& request, Errc code) {
  judge().fail("verb " + std::to_string(request.submission.verb) + " answers " +
               std::string(model::errc_name(code)));
}

void SimSession::answer(const Request& request, const Completion& completion) {
  const Errc code = code_of(completion);
  if (code == Errc::kDeadlineExceeded) ++judge().coverage().expired;
  switch (static_cast<Verb>(request.submission.verb)) {
    case Verb::kMatch:
      return answer_match(request, completion);
    case Verb::kLoad:
      return answer_load(request, completion);
    case Verb::kRelease:
      return answer_release(request, completion);
    case Verb::kBeginFill:
      return answer_begin(request, completion);
    case Verb::kCommit:
      return answer_commit(request, completion);
    case Verb::kPositions:
      return answer_positions(request, completion);
    case Verb::kLocate:
      return answer_locate(request, completion);
    case Verb::kAbortFill:
      // It may have ended by its commit, or with another process of its session.
      if (!is_one_of(code, {Errc::kOk, Errc::kNotFound})) unexpected(request, code);
      return;
    case Verb::kResumed:
      if (!is_one_of(code, {Errc::kOk, Errc::kNotFound, Errc::kInvalidArgument})) {
        unexpected(request, code);
      }
      return;
    case Verb::kSupersede:
      if (code == Errc::kOk) judge().coverage().superseded += completion.result.supersede.dropped;
      [[fallthrough]];
    default:
      if (code != Errc::kOk) unexpected(request, code);
  }
}

void SimSession::answer_match(const Request& request, const Completion& completion) {
  if (code_of(completion) != Errc::kOk) {
    return unexpected(request, code_of(completion));
  }
  const model::MatchResult& result = completion.result.match;
  judge().judge_match(identity_.root, identity_.chain, request.submission.args.match, result,
                      request.turn);
  if (result.lease == 0) return;
  Lease lease{.id = result.lease,
              .exact_units = result.exact_tokens / layout().unit_tokens,
              .span_units = result.span_tokens / layout().unit_tokens,
              .chain = identity_.chain};
  const auto pin = [&](FillKind kind, uint32_t units) {
    const SimKey key = judge().place(identity_.root, lease.chain, kind, units).key;
    judge().pin(key);
    lease.pinned.push_back(key);
  };
  if (lease.span_units > 0) pin(FillKind::kSpan, lease.span_units);
  if (lease.exact_units > 0 && model::needs_checkpoint(layout())) {
    pin(FillKind::kCheckpoint, lease.exact_units);
  }
  leases_.push_back(std::move(lease));
}

void SimSession::answer_load(const Request& request, const Completion& completion) {
  busy_descriptors_ &= ~(1u << request.area);
  Lease* lease = find_lease(request.thing);
  if (lease != nullptr) --lease->loads;
  const Errc code = code_of(completion);
  const model::LoadResult& result = completion.result.load;
  const uint8_t slot = request.submission.args.load.progress_slot;
  if (slot != 0 && ring_.load_ready(slot) != 0) judge().fail("progress of a load that is done");
  const bool delivers =
      is_one_of(code, {Errc::kOk, Errc::kDeadlineExceeded, Errc::kIoError, Errc::kCorrupt});
  if (!delivers) {
    if (result.descriptor_count != 0) judge().fail("pages beside an error that has none");
    // A release that overtook it ends the lease. Memory or places for loads may be short.
    const bool expected = is_one_of(code, {Errc::kBusy, Errc::kResourceExhausted}) ||
                          (code == Errc::kNotFound && (lease == nullptr || lease->releasing));
    if (!expected) unexpected(request, code);
    return;
  }
  if (is_one_of(code, {Errc::kIoError, Errc::kCorrupt}) && judge().is_strict()) {
    unexpected(request, code);
  }
  // Its pages are another's when it was released meanwhile.
  if (lease == nullptr || lease->releasing) return;
  judge_pages(request, *lease, result);
  ++judge().coverage().loads;
  if (code == Errc::kOk) {
    const model::LoadArgs& args = request.submission.args.load;
    const uint32_t asked = asked_blocks(args, *lease);
    if (result.block_count != asked) {
      judge().fail("a whole load of " + std::to_string(asked) + " blocks from " +
                   std::to_string(args.first_block) + " on delivers " +
                   std::to_string(result.block_count) + " of a hit of " +
                   std::to_string(lease->exact_units) + ", " + std::to_string(lease->span_units) +
                   " units");
    }
  } else if (result.descriptor_count > 0) {
    ++judge().coverage().heads;
  }
}

void SimSession::judge_pages(const Request& request, Lease& lease,
                             const model::LoadResult& result) {
  const model::LoadArgs& args = request.submission.args.load;
  uint32_t at = args.descriptor_index;
  for (uint32_t b = 0; b < result.block_count; ++b) {
    at += judge_block(request, lease, args.first_block + b, at);
  }
  const uint32_t left = result.descriptor_count - (at - args.descriptor_index);
  if (left != result.checkpoint_count) {
    return judge().fail("a load delivers another number of descriptors");
  }
  if (left > 0) judge_checkpoint(request, lease, at, left);
}

// How many descriptors the block has.
uint32_t SimSession::judge_block(const Request& request, Lease& lease, uint32_t block,
                                 uint32_t at) {
  const model::GroupMask groups = request.submission.args.load.groups;
  const uint32_t units = (block + 1) * layout().units_per_block();
  if (units > lease.span_units) {
    judge().fail("a block behind the hit is delivered");
    return 0;
  }
  const model::PagePlan plan =
      model::plan_pages(layout(), FillKind::kSpan, units * layout().unit_tokens, groups);
  const SimKey key{identity_.root, FillKind::kSpan, lease.chain[units - 1]};
  uint32_t index = 0;
  for (const model::PlannedPage& page : plan.pages) {
    keep_page(lease, at + index++, {.key = key, .group = page.group});
  }
  return index;
}

void SimSession::judge_checkpoint(const Request& request, Lease& lease, uint32_t at,
                                  uint32_t count) {
  const model::GroupMask groups = request.submission.args.load.groups;
  const uint32_t units = lease.exact_units;
  if (units == 0) return judge().fail("a checkpoint of a hit that has none");
  const model::PagePlan plan =
      model::plan_pages(layout(), FillKind::kCheckpoint, units * layout().unit_tokens, groups);
  if (plan.pages.size() != count) return judge().fail("a part of a checkpoint is delivered");
  const SimKey key{identity_.root, FillKind::kCheckpoint, lease.chain[units - 1]};
  for (const model::PlannedPage& page : plan.pages) {
    keep_page(lease, at++,
              {.key = key, .group = page.group, .tail = page.tail, .checkpoint = true});
  }
}

void SimSession::keep_page(Lease& lease, uint32_t at, const SimJudge::Wanted& wanted) {
  const model::PageDescriptor descriptor = ring_.descriptors()[at];
  const auto head = judge().judge_page(identity_.domain, descriptor, wanted);
  if (!head) return;
  // Law 2: of one object, pages of one fill. Processes that share one each have their own version.
  for (const Page& page : lease.pages) {
    const bool same_object = page.head.hash == head->hash && page.head.kind == head->kind;
    if (same_object && page.head.group == head->group && page.head.version != head->version) {
      judge().fail("an object changed under its lease: " + text_of(wanted.key));
    }
  }
  lease.pages.push_back({descriptor, *head});
}

void SimSession::answer_release(const Request& request, const Completion& completion) {
  const Errc code = code_of(completion);
  Lease* lease = find_lease(request.thing);
  if (lease == nullptr) return judge().fail("the simulator released a lease twice");
  if (code == Errc::kBusy) {
    // Loads of it were on their way. Nothing that it holds is looked at any more, but it is tried
    // again.
    lease->releasing = false;
    return;
  }
  if (code != Errc::kOk) return unexpected(request, code);
  leases_.erase(leases_.begin() + (lease - leases_.data()));
}

void SimSession::answer_begin(const Request& request, const Completion& completion) {
  const Errc code = code_of(completion);
  const model::BeginFillArgs& args = request.submission.args.begin_fill;
  const SimJudge::Place place = judge().place(identity_.root, identity_.chain,
                                              static_cast<FillKind>(args.kind), args.end_units);
  if (code == Errc::kNoParent) {
    ++judge().coverage().no_parent;
    if (!place.parent) judge().fail("the root is no parent");
    if (tip_ && place.parent && tip_->key == *place.parent && judge().is_strict()) {
      judge().fail("a session's tip is no parent: " + text_of(tip_->key));
    }
    return;
  }
  if (code == Errc::kResourceExhausted) {
    ++judge().coverage().no_memory;
    return;
  }
  if (is_one_of(code, {Errc::kBusy, Errc::kDeadlineExceeded})) return;
  if (code != Errc::kOk) return unexpected(request, code);
  const model::BeginFillResult& result = completion.result.begin_fill;
  if (result.duplicate != 0) {
    if (result.fill != 0) judge().fail("a duplicate is granted");
    if (result.incomplete != 0) return;
    return set_tip(place, request.submission.user_data);
  }
  const uint32_t version = stage_->next_version++;
  judge().granted(place, version);
  fills_.push_back({.id = result.fill, .place = place, .version = version});
}

void SimSession::answer_commit(const Request& request, const Completion& completion) {
  process_->busy_staging &= ~(my_staging_ & 1u << request.area);
  my_staging_ &= ~(1u << request.area);
  const Errc code = code_of(completion);
  const Fill* fill = find_fill(request.thing);
  if (fill == nullptr) return judge().fail("the simulator forgot a fill");
  const SimJudge::Place place = fill->place;
  fills_.erase(fills_.begin() + (fill - fills_.data()));
  if (code == Errc::kNoParent) ++judge().coverage().no_parent;
  // kNotFound, kClosed: it was aborted, or a process that shared it died.
  if (is_one_of(code, {Errc::kNoParent, Errc::kDeadlineExceeded, Errc::kClosed, Errc::kNotFound,
                       Errc::kBusy})) {
    return;
  }
  if (code != Errc::kOk) return unexpected(request, code);
  const model::CommitResult& result = completion.result.commit;
  if (result.visible == 0) {
    if (identity_.groups == 0) judge().fail("a whole object was committed and is not visible");
    return;
  }
  if (identity_.groups != 0) ++judge().coverage().joint;
  set_tip(place, request.submission.user_data);
}

void SimSession::answer_positions(const Request& request, const Completion& completion) {
  busy_descriptors_ &= ~(1u << request.area);
  const Errc code = code_of(completion);
  if (code != Errc::kOk) return unexpected(request, code);
  const model::PositionsArgs& args = request.submission.args.positions;
  const model::PositionsResult& result = completion.result.positions;
  if (result.count > args.max_positions) return judge().fail("more positions than asked for");
  uint32_t before = args.prompt_tokens;
  for (uint32_t i = 0; i < result.count; ++i) {
    const model::ResumePosition& position = *ring_.positions(args.descriptor_index + i);
    if (position.tokens >= before) return judge().fail("positions are not the deepest first");
    before = position.tokens;
    uint64_t tokens = 0;
    for (const uint32_t of : position.tier_tokens.of) tokens += of;
    if (tokens != position.tokens) return judge().fail("a position's tokens are in no tier");
    judge().judge_known(identity_.root, identity_.chain, position.tokens);
  }
}

void SimSession::answer_locate(const Request& request, const Completion& completion) {
  const Errc code = code_of(completion);
  if (code != Errc::kOk) return unexpected(request, code);
  const model::LocateResult& result = completion.result.locate;
  uint64_t tokens = 0;
  for (const uint32_t of : result.tokens.of) tokens += of;
  if (tokens != result.span_tokens) judge().fail("located tokens are in no tier");
  const uint32_t asked = request.submission.args.locate.unit_count * layout().unit_tokens;
  if (result.span_tokens > asked) return judge().fail("more located than asked for");
  judge().judge_known(identity_.root, identity_.chain, result.span_tokens);
}

}  // namespace quire::tests
