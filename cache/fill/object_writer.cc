#include "cache/fill/object_writer.h"

#include <algorithm>
#include <bit>
#include <string>

#include "cache/fill/fill_claims.h"
#include "model/boundary.h"

namespace quire::cache {

using model::BeginFillArgs;
using model::CheckpointReason;
using model::Errc;
using model::FillId;
using model::FillKind;
using model::make_error;
using model::NodeId;
using model::SlotId;

const model::PagePlan& ObjectWriter::plan_of(const Fill& fill) const {
  return names_->root(fill.session->root).layout->plan(fill.kind, fill.end_units);
}

// Where the object belongs. Reads the client's hashes once.
model::Result<ObjectWriter::Position> ObjectWriter::locate(const Root& root, const ChainView& chain,
                                                           const BeginFillArgs& args) const {
  const uint32_t per_block = root.layout->units_per_block;
  if (args.kind > static_cast<uint8_t>(FillKind::kCheckpoint)) {
    return make_error(Errc::kInvalidArgument, "unknown kind of fill");
  }
  const auto kind = static_cast<FillKind>(args.kind);
  if (args.end_units == 0 || args.end_units > chain.count()) {
    return make_error(Errc::kInvalidArgument, "end_units is 0 or beyond the session's max_units");
  }
  if (!model::is_object_end(kind, args.end_units, per_block)) {
    return make_error(Errc::kInvalidArgument, "a span ends at a multiple of block_tokens");
  }
  if (kind == FillKind::kCheckpoint && !root.layout->needs_checkpoint) {
    return make_error(Errc::kInvalidArgument, "this layout has no checkpoints");
  }
  Position position;
  position.parent.units = model::parent_units(kind, args.end_units, per_block);
  position.place = {.key = chain.after(args.end_units), .kind = kind, .end_units = args.end_units};
  position.parent.key = position.parent.units == 0 ? root.hash : chain.after(position.parent.units);
  return position;
}

// An object that a process of the same session began.
model::Result<BeginOutcome> ObjectWriter::share(Fill& fill, HolderTag holder,
                                                model::GroupMask groups) {
  if (fill.state == FillState::kSealed) {
    return make_error(Errc::kBusy, "this object is complete and waits for the span before it");
  }
  if (fill.state == FillState::kReserving) {
    // Slots are still missing, so nothing can be written yet: the claim waits with the fill.
    QUIRE_TRY(claim_pages(fill, plan_of(fill).pages, holder, groups));
    return BeginOutcome{BeginOutcome::Kind::kPending, fills_->id_of(fill)};
  }
  if (is_written(fill, plan_of(fill).pages, groups)) {
    linker_.count_duplicate();
    return BeginOutcome{BeginOutcome::Kind::kWritten, {}};
  }
  QUIRE_TRY(claim_pages(fill, plan_of(fill).pages, holder, groups));
  return BeginOutcome{BeginOutcome::Kind::kGranted, fills_->id_of(fill)};
}

void ObjectWriter::give_back(Fill& fill) { store_->work().add(fill.slots.give_back()); }

model::Result<BeginOutcome> ObjectWriter::begin(CacheSession& session, HolderTag holder,
                                                const ChainView& chain, const BeginFillArgs& args) {
  const Root& root = names_->root(session.root);
  if (root.dead) return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  const Position position = QUIRE_TRY(locate(root, chain, args));
  if (linker_.note_duplicate(session, position.place.key, node_kind(position.place.kind))) {
    return BeginOutcome{BeginOutcome::Kind::kDuplicate, {}};
  }
  if (Fill* shared = fills_->find(session, position.place); shared != nullptr) {
    return share(*shared, holder, args.groups);
  }
  if (args.unless_begun != 0 && fills_->find_foreign(session, position.place) != nullptr) {
    return make_error(Errc::kBusy,
                      "another session is writing this object; begin it again when "
                      "that one ended, it may be a duplicate then");
  }
  if (!linker_.parent_known(session, position.parent)) {
    return make_error(Errc::kNoParent, "the span before this position is not present; commit it");
  }
  const bool offered = position.place.kind == FillKind::kCheckpoint &&
                       args.reason == static_cast<uint8_t>(CheckpointReason::kOffered);
  if (offered && !offers_.is_wanted(session, chain, args.end_units)) {
    ++counters_.unwanted;
    return BeginOutcome{BeginOutcome::Kind::kUnwanted, {}};
  }
  // Until here nothing has changed. From here on there is a record, and every refusal ends it.
  const FillId id = QUIRE_TRY(fills_->add(session, root.key.domain, position.place));
  Fill& fill = fills_->at(id);
  fill.slots = SlotSet(&store_->pool(), &store_->presence().accounts(), session.payer,
                       session.reservation.ref());
  fill.parent = position.parent;
  fill.reason = args.reason <= static_cast<uint8_t>(CheckpointReason::kOffered)
                    ? static_cast<CheckpointReason>(args.reason)
                    // An unknown reason counts as the one that nothing supersedes.
                    : CheckpointReason::kBranch;
  if (auto claimed = claim_pages(fill, plan_of(fill).pages, holder, args.groups); !claimed.ok()) {
    end(fill);
    return std::move(claimed).error();
  }
  if (auto fits = memory_.check_fits(fill); !fits.ok()) {
    end(fill);
    return std::move(fits).error();
  }
  if (fill.kind == FillKind::kCheckpoint) session.last_checkpoint_units = fill.end_units;
  // Also where memory for this one is free: small objects would keep a large one waiting for good.
  if (memory_.must_wait(fill)) {
    memory_.wait(fill);
    return BeginOutcome{BeginOutcome::Kind::kPending, id};
  }
  return reserve(fill);
}

model::Result<BeginOutcome> ObjectWriter::reserve(Fill& fill) {
  const FillId id = fills_->id_of(fill);
  switch (memory_.reserve(fill)) {
    case Room::kPending:
      return BeginOutcome{BeginOutcome::Kind::kPending, id};
    case Room::kNone:
      end(fill);
      return make_error(
          Errc::kResourceExhausted,
          "no memory for this object: everything present is pinned, in use, or reserved "
          "by other sessions");
    case Room::kHave:
      break;
  }
  memory_.stop(fill);
  fill.state = FillState::kOpen;
  fill.pages_missing = static_cast<uint16_t>(fill.slots.count());
  return BeginOutcome{BeginOutcome::Kind::kGranted, id};
}

// Much may have happened while it waited: what begin() found is looked at once more.
model::Result<BeginOutcome> ObjectWriter::go_on(FillId id) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.state == FillState::kReserving);
  CacheSession& session = *fill.session;
  if (names_->root(session.root).dead) {
    end(fill);
    return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  }
  if (linker_.note_duplicate(session, fill.key, node_kind(fill.kind))) {
    end(fill);
    return BeginOutcome{BeginOutcome::Kind::kDuplicate, {}};
  }
  if (!linker_.parent_known(session, fill.parent)) {
    end(fill);
    return make_error(Errc::kNoParent, "the span before this position went while it waited");
  }
  return reserve(fill);
}

bool ObjectWriter::leave(FillId id, HolderTag holder) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.state == FillState::kReserving);
  bool others = false;
  for (HolderTag& claim : fill.claimed_by) {
    if (claim == holder) claim = 0;
    others = others || claim != 0;
  }
  if (others) {
    // The one that left may have been told already that the fill may go on; nobody would tell the
    // others.
    memory_.wake(fill);
  } else {
    end(fill);
  }
  return !others;
}

model::Result<size_t> ObjectWriter::take(CacheSession& session, HolderTag holder,
                                         const model::CommitArgs& args, uint64_t staging_bytes,
                                         std::span<PageCopy> copies) {
  Fill* fill = fills_->find(FillId{args.fill}, session);
  if (fill == nullptr || fill->state != FillState::kOpen) {
    return make_error(Errc::kNotFound, "no such fill, or it ended");
  }
  // The offset is a client's. Everything is compared as what is left of the area, so no sum can
  // wrap.
  if (args.staging_offset % model::kStagingAlignment != 0 || args.staging_offset > staging_bytes) {
    return make_error(Errc::kInvalidArgument, "staging_offset is unaligned or outside the area");
  }
  const std::vector<model::PlannedPage>& plan = plan_of(*fill).pages;
  uint64_t offset = args.staging_offset;
  size_t count = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    const bool named = args.groups == 0 || (args.groups >> plan[i].group & 1);
    if (!named || fill->claimed_by[i] != holder) continue;
    if (fill->page_state[i] != static_cast<uint8_t>(PageFill::kMissing)) continue;
    if (plan[i].bytes > staging_bytes - offset) {
      return make_error(Errc::kInvalidArgument, "the object reaches beyond the staging area");
    }
    // The slot stays where it is during the copy: SegmentTaker leaves a segment alone that has a
    // page which is not sealed.
    copies[count++] = {.page_index = static_cast<uint8_t>(i),
                       .staging_offset = offset,
                       .bytes = plan[i].bytes,
                       .target = store_->pool().place(fill->slots[i]).data};
    offset =
        std::min(staging_bytes, offset + (plan[i].bytes + model::kStagingAlignment - 1) /
                                             model::kStagingAlignment * model::kStagingAlignment);
  }
  if (count == 0) {
    return make_error(Errc::kInvalidArgument, "no page of this fill is left for this process");
  }
  // Only after the last check: a refusal leaves every page to be committed again.
  for (size_t i = 0; i < count; ++i) {
    fill->page_state[copies[i].page_index] = static_cast<uint8_t>(PageFill::kCopying);
  }
  ++fill->copies_in_flight;
  return count;
}

Linked ObjectWriter::copied(FillId id, std::span<const uint8_t> page_indexes,
                            std::span<const uint32_t> checksums) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.copies_in_flight > 0);
  --fill.copies_in_flight;
  Linked done{.fill = id, .kind = fill.kind, .end_units = fill.end_units};
  // It ended while the worker copied. Its slots were kept for the worker, and can go now.
  if (fill.state == FillState::kEnded) {
    done.outcome = FillOutcome::kAborted;
    free_if_done(fill);
    return done;
  }
  for (size_t i = 0; i < page_indexes.size(); ++i) {
    store_->pool().page(fill.slots[page_indexes[i]]).crc32c = checksums[i];
    fill.page_state[page_indexes[i]] = static_cast<uint8_t>(PageFill::kCopied);
    --fill.pages_missing;
  }
  if (fill.pages_missing > 0) {
    done.outcome = FillOutcome::kPartial;
    return done;
  }
  fill.state = FillState::kSealed;
  return settle(fill);
}

Linked ObjectWriter::copied_in_vain(FillId id) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.copies_in_flight > 0);
  --fill.copies_in_flight;
  const Linked done{
      .fill = id, .outcome = FillOutcome::kAborted, .kind = fill.kind, .end_units = fill.end_units};
  if (fill.state == FillState::kEnded) {
    free_if_done(fill);
    return done;
  }
  ++counters_.aborted;
  note_incomplete(fill);
  end(fill);
  return done;
}

// Links or drops a sealed object, or lets it wait for the fill of its parent span.
Linked ObjectWriter::settle(Fill& fill) {
  Linked done{.fill = fills_->id_of(fill), .kind = fill.kind, .end_units = fill.end_units};
  done.outcome = linker_.link(fill, done.superseded);
  if (done.outcome != FillOutcome::kWaiting) end(fill);
  return done;
}

uint32_t ObjectWriter::settle_waiting(uint32_t budget, std::vector<Linked>& linked) {
  uint32_t steps = 0;
  for (; steps < budget && first_settling_ != nullptr; ++steps) {
    store_->work().add(1);
    CacheSession& session = *first_settling_;
    first_settling_ = session.next_settling;
    if (first_settling_ == nullptr) last_settling_ = nullptr;
    Fill& ended = *fills_->first_ended(session);
    if (Fill* waiting = fills_->first_waiting(ended); waiting != nullptr) {
      // Out of this list before it is settled, which may put it into that of another fill.
      fills_->stop_waiting(*waiting);
      const Linked done = settle(*waiting);
      if (done.outcome != FillOutcome::kWaiting) linked.push_back(done);
    }
    if (fills_->first_waiting(ended) == nullptr) {
      fills_->dequeue_ended(session);
      // The record was kept for the list of those that waited for it.
      free_if_done(ended);
    }
    // To the end of the queue: sessions take turns, one fill each.
    if (fills_->first_ended(session) != nullptr) add_settling(session);
  }
  return steps;
}

void ObjectWriter::add_settling(CacheSession& session) {
  session.next_settling = nullptr;
  (last_settling_ == nullptr ? first_settling_ : last_settling_->next_settling) = &session;
  last_settling_ = &session;
}

// The fill is over, whatever became of the object; its slots are the node's, or go.
void ObjectWriter::end(Fill& fill) {
  memory_.stop(fill);
  fills_->stop_waiting(fill);
  // Ended before those that wait for it are queued: who is settled must not find it by its place
  // again.
  fills_->end(fill);
  if (fills_->first_waiting(fill) != nullptr && fills_->enqueue_ended(fill)) {
    add_settling(*fill.session);
  }
  free_if_done(fill);
}

// Of an object that some of its writers finished and others never did: whoever misses it is told.
void ObjectWriter::note_incomplete(const Fill& fill) {
  DepartureLog* departures = store_->departures();
  const bool in_part = fill.pages_missing > 0 && fill.pages_missing < fill.slots.count();
  if (departures == nullptr || fill.state != FillState::kOpen || !in_part) return;
  const model::GroupMask missing = unwritten_groups(fill, plan_of(fill).pages);
  departures->note_incomplete(
      departures->print_of(names_->root(fill.session->root).hash, node_kind(fill.kind), fill.key),
      static_cast<model::GroupIndex>(std::countr_zero(missing)));
}

void ObjectWriter::free_if_done(Fill& fill) {
  // A worker still writes to the slots: copied() comes here again.
  if (fill.copies_in_flight > 0) return;
  give_back(fill);
  if (!fill.in_ended_queue) fills_->remove(fill);
}

model::Result<void> ObjectWriter::abort(CacheSession& session, FillId id) {
  Fill* fill = fills_->find(id, session);
  if (fill == nullptr || fill->state != FillState::kOpen) {
    return make_error(Errc::kNotFound, "no such fill, or it ended");
  }
  ++counters_.aborted;
  note_incomplete(*fill);
  end(*fill);
  return {};
}

Linked ObjectWriter::end_waiting(FillId id) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.state == FillState::kSealed);
  fills_->stop_waiting(fill);
  const Linked done = settle(fill);
  if (done.outcome != FillOutcome::kWaiting) return done;
  ++counters_.aborted;
  end(fill);
  return done;
}

bool ObjectWriter::end_holder(CacheSession& session, HolderTag holder, bool last_one,
                              uint32_t& cursor, uint32_t& budget, std::vector<Linked>& linked) {
  // As a rule nothing is open, and the records of all sessions need not be looked at.
  if (session.fill_count == 0) return true;
  for (; budget > 0 && cursor < fills_->end_of_indexes(); --budget, ++cursor) {
    Fill* fill = fills_->at_index(cursor, session);
    if (fill == nullptr || fill->state == FillState::kEnded) continue;
    if (fill->state == FillState::kReserving) {
      if (last_one) {
        end(*fill);
      } else {
        leave(fills_->id_of(*fill), holder);
      }
      continue;
    }
    // A sealed fill is complete. While another process of the session is there it may still become
    // visible, whoever wrote it.
    const bool sealed = fill->state == FillState::kSealed;
    if (!last_one && (sealed || !lose_claims(*fill, holder))) continue;
    if (sealed) {
      linked.push_back({.fill = fills_->id_of(*fill),
                        .outcome = FillOutcome::kAborted,
                        .kind = fill->kind,
                        .end_units = fill->end_units});
    }
    ++counters_.aborted;
    note_incomplete(*fill);
    end(*fill);
  }
  return cursor == fills_->end_of_indexes();
}

}  // namespace quire::cache
