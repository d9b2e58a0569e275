// What a session asks for; how it takes the answers is sim_session_answers.cc, what is judged in
// the turn that brings them sim_session_watch.cc.
#include "tests/sim/sim_session.h"

#include <algorithm>

#include "model/boundary.h"
#include "model/check.h"
#include "tests/sim/sim_shape.h"

namespace quire::tests {

using model::FillKind;
using model::Submission;
using model::Verb;

namespace {

constexpr size_t kMaxLeases = 4;
constexpr size_t kMaxFills = 3;

}  // namespace

server::LaneShape SimSession::shape() {
  return {.ring_entries = kSimRingEntries,
          .max_units = kSimMaxUnits,
          .max_load_pages = kSimAreas * kSimAreaPages};
}

SimSession::SimSession(SimStage* stage, server::Attachment& attachment, Identity identity)
    : stage_(stage),
      process_(&static_cast<SimProcess&>(attachment.client())),
      attachment_(&attachment),
      ring_(attachment),
      identity_(std::move(identity)),
      patience_(stage),
      count_(stage->turns, attachment.session().id.value, layout().block_tokens) {
  ring_.set_hashes(identity_.chain);
  if (identity_.is_joint) count_.forget();
}

void SimSession::act() {
  if (has_let_go_ || is_closed()) return;
  if (ring_.free_submissions() == 0 || requests_.size() >= kSimRingEntries) return;
  switch (random().below(20)) {
    case 0:
    case 1:
    case 2:
      return send_match();
    case 3:
    case 4:
    case 5:
      return send_load();
    case 6:
    case 7:
      return send_release();
    case 8:
      return random().one_in(2) ? send_supersede() : send_abort();
    case 9:
      return send_advice();
    case 10:
      return random().one_in(2) ? send_resumed() : send_locate();
    case 11:
      return random().one_in(2) ? send_positions() : look_at_pages();
    case 12:
      return change_context();
    default:
      // Most of what is begun is committed.
      return random().one_in(2) && !fills_.empty() ? send_commit() : send_begin();
  }
}

void SimSession::send(Verb verb, Submission submission, uint64_t thing, uint32_t area) {
  submission.user_data = next_user_data_++;
  submission.verb = static_cast<uint16_t>(verb);
  if (random().one_in(4)) submission.deadline_ms = 1 + random().below(random().one_in(2) ? 3 : 40);
  requests_.push_back(
      {.submission = submission, .turn = stage_->core->turn_count(), .area = area, .thing = thing});
  patience_.sent(submission, ring_.next_number());
  ring_.submit(submission);
  ring_.ring();
}

void SimSession::flood() {
  while (!has_let_go_ && !is_closed() && ring_.free_submissions() > 0 &&
         requests_.size() < kSimRingEntries) {
    random().one_in(2) ? send(Verb::kNoop, {}) : send_locate();
  }
}

void SimSession::scribble() {
  if (has_let_go_ || is_closed()) return;
  count_.forget();  // what completes before the daemon sees it is counted, and not told
  ring_.scribble();
  ring_.ring();
  let_go();
}

uint32_t SimSession::any_prompt() {
  return 1 + random().below(units() * layout().unit_tokens + layout().unit_tokens);
}

// A new request of its engine. What is under way refers to the present one.
void SimSession::change_context() {
  if (!requests_.empty() || !fills_.empty() || identity_.is_joint) return;
  identity_.chain = sim_chain(random(), 2 + random().below(kSimMaxUnits - 1));
  ring_.set_hashes(identity_.chain);
}

void SimSession::send_match() {
  if (leases_.size() >= kMaxLeases) return;
  Submission submission{};
  model::MatchArgs& args = submission.args.match;
  args.request_id = random().below(4);
  args.unit_count = random().one_in(4) ? 1 + random().below(units()) : units();
  args.prompt_tokens = any_prompt();
  args.have_tokens = random().one_in(4) ? random().below(args.prompt_tokens) : 0;
  args.prefill_us_per_ktoken = random().one_in(2) ? random().below(100'000) : 0;
  send(Verb::kMatch, submission);
}

template <typename Accept>
SimSession::Lease* SimSession::any_lease(Accept&& accept) {
  if (leases_.empty()) return nullptr;
  Lease& lease = leases_[random().below(static_cast<uint32_t>(leases_.size()))];
  return accept(lease) ? &lease : nullptr;
}

SimSession::Lease* SimSession::find_lease(uint64_t id) {
  const auto found = std::find_if(leases_.begin(), leases_.end(),
                                  [id](const Lease& lease) { return lease.id == id; });
  return found == leases_.end() ? nullptr : &*found;
}

SimSession::Fill* SimSession::find_fill(uint64_t id) {
  const auto found =
      std::find_if(fills_.begin(), fills_.end(), [id](const Fill& fill) { return fill.id == id; });
  return found == fills_.end() ? nullptr : &*found;
}

void SimSession::give_staging_back() {
  process_->busy_staging &= ~my_staging_;
  my_staging_ = 0;
}

std::optional<uint32_t> SimSession::take_area(uint32_t& busy, uint32_t count) {
  for (uint32_t area = 0; area < count; ++area) {
    if ((busy >> area & 1) != 0) continue;
    busy |= 1u << area;
    return area;
  }
  return std::nullopt;
}

void SimSession::send_load() {
  Lease* lease = any_lease([](const Lease& one) { return !one.releasing; });
  if (lease == nullptr) return;
  const auto area = take_area(busy_descriptors_, kSimAreas);
  if (!area) return;
  const uint32_t blocks = lease->span_units / layout().units_per_block();
  Submission submission{};
  model::LoadArgs& args = submission.args.load;
  args.lease = lease->id;
  args.first_block = random().one_in(4) ? random().below(blocks + 1) : 0;
  args.block_count = random().one_in(2) ? random().below(blocks - args.first_block + 1) : 0;
  args.groups = random().one_in(4) ? 1u << random().below(2) : 0;
  args.descriptor_index = *area * kSimAreaPages;
  args.descriptor_capacity = kSimAreaPages;
  args.order = static_cast<uint8_t>(random().below(2));
  args.include_checkpoint = static_cast<uint8_t>(random().below(2));
  args.progress_slot = static_cast<uint8_t>(random().one_in(2) ? 1 + *area : 0);
  ++lease->loads;
  send(Verb::kLoad, submission, lease->id, *area);
}

// With loads on their way too: the answer is kBusy then, or they were done.
void SimSession::send_release() {
  Lease* lease = any_lease([](const Lease& one) { return !one.releasing; });
  if (lease == nullptr || (lease->loads > 0 && !random().one_in(4))) return;
  lease->releasing = true;
  for (const SimKey& key : lease->pinned) judge().unpin(key);
  lease->pinned.clear();
  lease->pages.clear();
  Submission submission{};
  submission.args.release.lease = lease->id;
  send(Verb::kRelease, submission, lease->id);
}

void SimSession::send_begin() {
  if (fills_.size() >= kMaxFills) return;
  // The session's tip may move to this context before the answer is taken.
  if (tip_ && (tip_->units > units() || identity_.chain[tip_->units - 1] != tip_->key.hash)) {
    drop_tip();
  }
  const uint32_t per_block = layout().units_per_block();
  const bool span = !model::needs_checkpoint(layout()) || !random().one_in(3);
  const uint32_t blocks = units() / per_block;
  if (span && blocks == 0) return;
  // Mostly the block behind what it has, or is writing, as an engine does; sometimes anywhere.
  uint32_t tip = tip_ ? tip_->units : 0;
  if (!fills_.empty() && fills_.back().place.key.kind == FillKind::kSpan && random().one_in(2)) {
    tip = fills_.back().place.units;
  }
  uint32_t end = tip + (span ? per_block : random().below(per_block + 1));
  if (end == 0 || random().one_in(4)) end = 1 + random().below(units());
  if (span) end = std::clamp(end / per_block * per_block, per_block, blocks * per_block);
  Submission submission{};
  model::BeginFillArgs& args = submission.args.begin_fill;
  args.groups = identity_.groups;
  args.end_units = std::min(end, units());
  args.kind = static_cast<uint8_t>(span ? FillKind::kSpan : FillKind::kCheckpoint);
  args.reason = static_cast<uint8_t>(random().below(4));
  args.unless_begun = static_cast<uint8_t>(random().one_in(4));
  send(Verb::kBeginFill, submission);
}

void SimSession::write_staging(const Fill& fill, uint64_t offset) {
  const model::PagePlan plan = model::plan_pages(
      layout(), fill.place.key.kind, fill.place.units * layout().unit_tokens, identity_.groups);
  for (const model::PlannedPage& page : plan.pages) {
    fill_sim_page(ring_.staging().subspan(offset + page.staging_offset, page.bytes),
                  {.hash = fill.place.key.hash,
                   .root = fill.place.key.root,
                   .group = page.group,
                   .kind = static_cast<uint8_t>(fill.place.key.kind),
                   .tail = page.tail ? uint8_t{1} : uint8_t{0},
                   .version = fill.version,
                   .bytes = static_cast<uint32_t>(page.bytes)});
  }
}

void SimSession::send_commit() {
  Fill& fill = fills_[random().below(static_cast<uint32_t>(fills_.size()))];
  if (fill.committing) return;
  const auto area = take_area(process_->busy_staging, kSimStagingAreas);
  if (!area) return;
  my_staging_ |= 1u << *area;
  fill.committing = true;
  Submission submission{};
  model::CommitArgs& args = submission.args.commit;
  args.fill = fill.id;
  args.staging_offset = *area * process_->area_bytes;
  args.groups = random().one_in(2) ? identity_.groups : 0;
  write_staging(fill, args.staging_offset);
  send(Verb::kCommit, submission, fill.id, *area);
}

void SimSession::send_abort() {
  if (fills_.empty()) return;
  const size_t index = random().below(static_cast<uint32_t>(fills_.size()));
  const uint64_t id = fills_[index].id;
  // What is being copied may be aborted as well; its commit is answered all the same.
  if (!fills_[index].committing) fills_.erase(fills_.begin() + static_cast<ptrdiff_t>(index));
  Submission submission{};
  submission.args.abort_fill.fill = id;
  send(Verb::kAbortFill, submission, id);
}

void SimSession::send_supersede() {
  Submission submission{};
  submission.args.supersede.end_units = 1 + random().below(units());
  send(Verb::kSupersede, submission);
}

void SimSession::send_advice() {
  Submission submission{};
  model::AdviseArgs& args = submission.args.advise;
  args.advice = static_cast<uint8_t>(random().below(3));
  args.end_units = random().below(units() + 1);
  args.pause_ms = random().below(3000);
  // A pause lets the session's path go.
  if (args.advice == static_cast<uint8_t>(model::Advice::kPauseUntil)) {
    drop_tip();
    paused_at_ = next_user_data_;
  }
  send(Verb::kAdvise, submission);
}

void SimSession::send_resumed() {
  Submission submission{};
  submission.args.resumed.how = static_cast<uint8_t>(random().below(5));
  submission.args.resumed.request_id = random().below(4);
  submission.args.resumed.resumed_tokens = any_prompt();
  submission.args.resumed.output_tokens = random().below(100);
  send(Verb::kResumed, submission);
}

void SimSession::send_positions() {
  const auto area = take_area(busy_descriptors_, kSimAreas);
  if (!area) return;
  Submission submission{};
  model::PositionsArgs& args = submission.args.positions;
  args.unit_count = units();
  args.prompt_tokens = any_prompt();
  args.descriptor_index = *area * kSimAreaPages;
  args.max_positions = 1 + random().below(kSimAreaPages);
  args.every_block = static_cast<uint8_t>(random().below(2));
  send(Verb::kPositions, submission, 0, *area);
}

void SimSession::send_locate() {
  Submission submission{};
  submission.args.locate.unit_count = 1 + random().below(units());
  send(Verb::kLocate, submission);
}

// What was delivered stays as it was until the release.
void SimSession::look_at_pages() {
  for (const Lease& lease : leases_) {
    for (const Page& page : lease.pages) {
      judge().judge_held(identity_.domain, page.descriptor, page.head);
    }
  }
}

void SimSession::let_go() {
  count_.end();
  for (Lease& lease : leases_) {
    for (const SimKey& key : lease.pinned) judge().unpin(key);
  }
  leases_.clear();
  drop_tip();
  has_let_go_ = true;
}

// The deepest span that it committed, or was told exists; others stay where they are.
void SimSession::set_tip(const SimJudge::Place& place, uint64_t user_data) {
  if (identity_.is_joint || place.key.kind != FillKind::kSpan) return;
  if (user_data < paused_at_) {  // let go since, perhaps
    tip_floor_ = std::max(tip_floor_, place.units);
    return;
  }
  if (place.units <= tip_floor_ || (tip_ && tip_->units >= place.units)) return;
  judge().pin(place.key);
  if (tip_) judge().unpin(tip_->key);
  tip_ = place;
}

void SimSession::drop_tip() {
  if (!tip_) return;
  judge().unpin(tip_->key);
  tip_floor_ = std::max(tip_floor_, tip_->units);
  tip_.reset();
}

}  // namespace quire::tests
