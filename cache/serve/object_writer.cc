#include "cache/serve/object_writer.h"

#include <algorithm>
#include <string>

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

namespace {

// Spans of 16 tokens over model::kTailReachTokens, and what hangs beside them: microseconds.
constexpr uint32_t kLookedAtForTurnEnds = 2048;

NodeKind node_kind(FillKind kind) {
  return kind == FillKind::kSpan ? NodeKind::kSpan : NodeKind::kCheckpoint;
}

}  // namespace

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
  position.parent_units = model::parent_units(kind, args.end_units, per_block);
  position.place = {.key = chain.after(args.end_units), .kind = kind, .end_units = args.end_units};
  position.parent_key = position.parent_units == 0 ? root.hash : chain.after(position.parent_units);
  return position;
}

bool ObjectWriter::note_duplicate(CacheSession& session, const model::Hash256& key, NodeKind kind) {
  const auto node = store_->tree().find(session.root, kind, key);
  // What the SSD cannot deliver now is worth writing again.
  if (!node || !store_->presence().is_reachable(*node)) return false;
  board_->used(*node);
  if (kind == NodeKind::kSpan) advance_tip(session, *node);
  ++counters_.duplicates;
  return true;
}

// Found by its position too, which is below that of what waits for it: no circle can be made.
Fill* ObjectWriter::fill_of_parent(const CacheSession& session, const model::Hash256& key,
                                   uint32_t units) {
  return fills_->find(session, {.key = key, .kind = FillKind::kSpan, .end_units = units});
}

bool ObjectWriter::parent_known(CacheSession& session, const Position& position) {
  if (position.parent_units == 0) return true;
  const PrefixTree& tree = store_->tree();
  // The session's own tip is the usual parent: no probe.
  const NodeId tip = session.tip.node();
  if (tip.valid() && tree.node(tip).units() == position.parent_units &&
      tree.key(tip) == position.parent_key) {
    return true;
  }
  const auto present = tree.find(session.root, NodeKind::kSpan, position.parent_key);
  if (present && tree.node(*present).units() == position.parent_units) return true;
  return fill_of_parent(session, position.parent_key, position.parent_units) != nullptr;
}

model::Result<void> ObjectWriter::claim(Fill& fill, HolderTag holder, model::GroupMask groups) {
  const std::vector<model::PlannedPage>& plan = plan_of(fill).pages;
  const model::GroupMask wanted = groups == 0 ? ~uint64_t{0} : groups;
  size_t claimed = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    if (fill.claimed_by[i] != 0 && fill.claimed_by[i] != kGoneHolder) {
      return make_error(Errc::kBusy, "group " + std::to_string(plan[i].group) +
                                         " of this object is being written by another process or "
                                         "fill; begin it again when that one ended");
    }
    ++claimed;
  }
  if (claimed == 0) return make_error(Errc::kInvalidArgument, "no group of this object is named");
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    // Its writer is gone: what that one copied is written again.
    if (fill.claimed_by[i] == kGoneHolder) {
      fill.page_state[i] = static_cast<uint8_t>(PageFill::kMissing);
      ++fill.pages_missing;
    }
    fill.claimed_by[i] = holder;
  }
  return {};
}

// Whether every page of these groups is copied, whoever did it and whether that one is still there:
// what was copied counts until somebody claims it anew.
bool ObjectWriter::is_written(const Fill& fill, model::GroupMask groups) const {
  const std::vector<model::PlannedPage>& plan = plan_of(fill).pages;
  const model::GroupMask wanted = groups == 0 ? ~uint64_t{0} : groups;
  bool any = false;
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    if (fill.page_state[i] != static_cast<uint8_t>(PageFill::kCopied)) return false;
    any = true;
  }
  return any;
}

// An object that a process of the same session began.
model::Result<BeginOutcome> ObjectWriter::share(Fill& fill, HolderTag holder,
                                                model::GroupMask groups) {
  if (fill.state == FillState::kSealed) {
    return make_error(Errc::kBusy, "this object is complete and waits for the span before it");
  }
  if (fill.state == FillState::kReserving) {
    QUIRE_TRY(claim(fill, holder, groups));
    return BeginOutcome{BeginOutcome::Kind::kPending, fills_->id_of(fill)};
  }
  if (is_written(fill, groups)) {
    ++counters_.duplicates;
    return BeginOutcome{BeginOutcome::Kind::kWritten, {}};
  }
  QUIRE_TRY(claim(fill, holder, groups));
  return BeginOutcome{BeginOutcome::Kind::kGranted, fills_->id_of(fill)};
}

void ObjectWriter::give_back(Fill& fill) { store_->work().add(fill.slots.give_back()); }

model::Result<BeginOutcome> ObjectWriter::begin(CacheSession& session, HolderTag holder,
                                                const ChainView& chain, const BeginFillArgs& args) {
  const Root& root = names_->root(session.root);
  if (root.dead) return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  const Position position = QUIRE_TRY(locate(root, chain, args));
  if (note_duplicate(session, position.place.key, node_kind(position.place.kind))) {
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
  if (!parent_known(session, position)) {
    return make_error(Errc::kNoParent, "the span before this position is not present; commit it");
  }
  const FillId id = QUIRE_TRY(fills_->add(session, root.key.domain, position.place));
  Fill& fill = fills_->at(id);
  fill.slots = SlotSet(&store_->pool(), &store_->presence().accounts(), session.payer);
  fill.parent_key = position.parent_key;
  fill.parent_units = position.parent_units;
  fill.reason = args.reason <= static_cast<uint8_t>(CheckpointReason::kBeforeTail)
                    ? static_cast<CheckpointReason>(args.reason)
                    : CheckpointReason::kBranch;
  if (auto claimed = claim(fill, holder, args.groups); !claimed.ok()) {
    end(fill);
    return std::move(claimed).error();
  }
  if (auto fits = memory_.check_fits(fill); !fits.ok()) {
    end(fill);
    return std::move(fits).error();
  }
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
      return make_error(Errc::kResourceExhausted,
                        "no memory for this object: everything present is pinned or in use");
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
  const Position position{.place = {fill.key, fill.kind, fill.end_units},
                          .parent_key = fill.parent_key,
                          .parent_units = fill.parent_units};
  if (names_->root(session.root).dead) {
    end(fill);
    return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  }
  if (note_duplicate(session, fill.key, node_kind(fill.kind))) {
    end(fill);
    return BeginOutcome{BeginOutcome::Kind::kDuplicate, {}};
  }
  if (!parent_known(session, position)) {
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

// Links or drops a sealed object, or lets it wait for the fill of its parent span.
Linked ObjectWriter::settle(Fill& fill) {
  Linked done{.fill = fills_->id_of(fill), .kind = fill.kind, .end_units = fill.end_units};
  done.outcome = try_link(fill, done.superseded);
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
      fills_->stop_waiting(*waiting);
      const Linked done = settle(*waiting);
      if (done.outcome != FillOutcome::kWaiting) linked.push_back(done);
    }
    if (fills_->first_waiting(ended) == nullptr) {
      fills_->dequeue_ended(session);
      free_if_done(ended);
    }
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
  fills_->end(fill);
  if (fills_->first_waiting(fill) != nullptr && fills_->enqueue_ended(fill)) {
    add_settling(*fill.session);
  }
  free_if_done(fill);
}

void ObjectWriter::free_if_done(Fill& fill) {
  if (fill.copies_in_flight > 0) return;
  give_back(fill);
  if (!fill.in_ended_queue) fills_->remove(fill);
}

// Present on an SSD that cannot be read: the pages of the fill serve from now on.
FillOutcome ObjectWriter::serve_from_ram(Fill& fill, NodeId present) {
  store_->make_resident(present, fill.slots.slots());
  fill.slots.spend(fill.slots.count());  // the node has them
  if (fill.kind == FillKind::kSpan) advance_tip(*fill.session, present);
  return FillOutcome::kVisible;
}

FillOutcome ObjectWriter::try_link(Fill& fill, bool& superseded) {
  CacheSession& session = *fill.session;
  const Root& root = names_->root(session.root);
  const NodeKind kind = node_kind(fill.kind);
  if (root.dead) return FillOutcome::kNoParent;
  if (const auto present = store_->tree().find(session.root, kind, fill.key)) {
    const bool useful =
        !store_->presence().is_reachable(*present) && !store_->tree().node(*present).is_moving();
    if (useful) return serve_from_ram(fill, *present);
    note_duplicate(session, fill.key, kind);
    return FillOutcome::kDuplicate;
  }
  NodeId parent = root.node;
  if (fill.parent_units > 0) {
    const auto found = store_->tree().find(session.root, NodeKind::kSpan, fill.parent_key);
    if (!found) {
      Fill* parent_fill = fill_of_parent(session, fill.parent_key, fill.parent_units);
      if (parent_fill == nullptr) return FillOutcome::kNoParent;
      fills_->wait(fill, *parent_fill);
      return FillOutcome::kWaiting;
    }
    if (store_->tree().node(*found).units() != fill.parent_units) return FillOutcome::kNoParent;
    parent = *found;
  }
  const auto node =
      store_->add({.parent = parent, .kind = kind, .key = fill.key, .units = fill.end_units},
                  fill.slots.slots(), session.batch_class);
  if (!node) return FillOutcome::kNoNode;
  fill.slots.spend(fill.slots.count());  // the node has them
  count_committed(fill);
  if (fill.kind == FillKind::kSpan) {
    advance_tip(session, *node);
  } else {
    superseded = supersede_previous(session, fill, *node);
  }
  return FillOutcome::kVisible;
}

void ObjectWriter::count_committed(const Fill& fill) {
  for (const model::PlannedPage& page : plan_of(fill).pages) {
    counters_.committed_bytes += page.bytes;
  }
  ++(fill.kind == FillKind::kSpan ? counters_.committed_spans : counters_.committed_checkpoints);
}

void ObjectWriter::advance_tip(CacheSession& session, NodeId node) {
  const PrefixTree& tree = store_->tree();
  const NodeId tip = session.tip.node();
  if (tip.valid() && tree.node(tip).units() >= tree.node(node).units()) return;
  session.tip = Pin(store_, node, PinKind::kPresence);
}

void ObjectWriter::let_tip_go(CacheSession& session) { session.tip.reset(); }

bool ObjectWriter::replaceable(const CacheSession& session, NodeId checkpoint) const {
  const PrefixTree& tree = store_->tree();
  const Node& node = tree.node(checkpoint);
  return node.owner_tag() == session.owner_tag && !node.is_kept() &&
         !tree.children(node.parent()).is_branch();
}

bool ObjectWriter::supersede_previous(CacheSession& session, const Fill& fill, NodeId node) {
  store_->tree().marks().set_owner_tag(node, session.owner_tag);
  store_->tree().marks().set_kept(
      node, fill.reason == CheckpointReason::kInterval || fill.reason == CheckpointReason::kBranch);
  // What lies before a tail drops nothing: the turn end that goes with it is still to come.
  if (fill.reason != CheckpointReason::kTurnEnd) return false;
  bool superseded = false;
  if (session.has_previous_checkpoint) {
    const auto previous =
        store_->tree().find(session.root, NodeKind::kCheckpoint, session.previous_checkpoint);
    if (previous && *previous != node && replaceable(session, *previous)) {
      store_->supersede(*previous);
      superseded = true;
    }
  }
  session.has_previous_checkpoint = true;
  session.previous_checkpoint = fill.key;
  if (session.tail_tokens == 0) return superseded;
  return thin_turn_ends(session, node) || superseded;
}

// Of the conversation's checkpoints on the path to a new turn end the deepest one before its tail
// stays; the others go. Looks at a bounded number of nodes: what lies further up waits for
// eviction.
bool ObjectWriter::thin_turn_ends(const CacheSession& session, NodeId turn_end) {
  const PrefixTree& tree = store_->tree();
  const Root& root = names_->root(session.root);
  const uint32_t before_tail = model::tail_units(
      tree.node(turn_end).units(), root.layout->layout.unit_tokens, session.tail_tokens);
  bool superseded = false;
  uint32_t beside_units = 0;  // of the one that stays; 0: not met yet
  NodeId beside;
  const auto thin = [&](NodeId id) {
    const Node& node = tree.node(id);
    if (id == turn_end || node.is_superseded() || !replaceable(session, id)) return;
    NodeId goes = id;
    if (node.units() <= before_tail && node.units() > beside_units) {
      beside_units = node.units();
      std::swap(goes, beside);
    }
    if (!goes.valid()) return;
    store_->supersede(goes);
    superseded = true;
  };
  uint32_t budget = kLookedAtForTurnEnds;
  for (NodeId span = tree.parent(turn_end); budget > 0; span = tree.parent(span)) {
    --budget;
    if (tree.node(span).has_checkpoints()) tree.children(span).for_each_checkpoint(budget, thin);
    if (span == root.node) break;
  }
  return superseded;
}

bool ObjectWriter::supersede(CacheSession& session, const ChainView& chain, uint32_t end_units) {
  if (end_units == 0 || end_units > chain.count()) return false;
  const auto node =
      store_->tree().find(session.root, NodeKind::kCheckpoint, chain.after(end_units));
  if (!node || !replaceable(session, *node) || store_->tree().node(*node).is_pinned()) return false;
  store_->supersede(*node);
  return true;
}

model::Result<void> ObjectWriter::abort(CacheSession& session, FillId id) {
  Fill* fill = fills_->find(id, session);
  if (fill == nullptr || fill->state != FillState::kOpen) {
    return make_error(Errc::kNotFound, "no such fill, or it ended");
  }
  ++counters_.aborted;
  end(*fill);
  return {};
}

void ObjectWriter::drop_waiting(FillId id) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.state == FillState::kSealed);
  ++counters_.aborted;
  end(fill);
}

// Whether the holder claimed a page that will not come now. What it did copy is nobody's.
bool ObjectWriter::lost_a_part(Fill& fill, HolderTag holder) {
  for (size_t i = 0; i < fill.slots.count(); ++i) {
    if (fill.claimed_by[i] != holder) continue;
    if (fill.page_state[i] != static_cast<uint8_t>(PageFill::kCopied)) return true;
    fill.claimed_by[i] = kGoneHolder;
  }
  return false;
}

bool ObjectWriter::end_holder(CacheSession& session, HolderTag holder, bool last_one,
                              uint32_t& cursor, uint32_t& budget, std::vector<Linked>& linked) {
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
    const bool sealed = fill->state == FillState::kSealed;
    if (!last_one && (sealed || !lost_a_part(*fill, holder))) continue;
    if (sealed) {
      linked.push_back({.fill = fills_->id_of(*fill),
                        .outcome = FillOutcome::kAborted,
                        .kind = fill->kind,
                        .end_units = fill->end_units});
    }
    ++counters_.aborted;
    end(*fill);
  }
  return cursor == fills_->end_of_indexes();
}

}  // namespace quire::cache
