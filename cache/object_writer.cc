#include "cache/object_writer.h"

#include <algorithm>
#include <string>

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
  const bool span = args.kind == static_cast<uint8_t>(FillKind::kSpan);
  if (args.end_units == 0 || args.end_units > chain.count()) {
    return make_error(Errc::kInvalidArgument, "end_units is 0 or beyond the session's max_units");
  }
  if (span && args.end_units % per_block != 0) {
    return make_error(Errc::kInvalidArgument, "a span ends at a multiple of block_tokens");
  }
  if (!span && !root.layout->needs_checkpoint) {
    return make_error(Errc::kInvalidArgument, "this layout has no checkpoints");
  }
  Position position;
  position.parent_units =
      span ? args.end_units - per_block : args.end_units / per_block * per_block;
  position.key = chain.after(args.end_units);
  position.parent_key = position.parent_units == 0 ? root.hash : chain.after(position.parent_units);
  return position;
}

bool ObjectWriter::note_duplicate(CacheSession& session, const Position& position, NodeKind kind) {
  const auto node = store_->tree().find(session.root, kind, position.key);
  // What the SSD cannot deliver now is worth writing again.
  if (!node || !store_->is_reachable(*node)) return false;
  store_->use(*node);
  if (kind == NodeKind::kSpan) advance_tip(session, *node);
  ++counters_.duplicates;
  return true;
}

// Another process of this session may have begun the same object for its own groups.
Fill* ObjectWriter::find_shared(CacheSession& session, const Position& position,
                                const BeginFillArgs& args) {
  for (Fill* fill = fills_->first(session); fill != nullptr; fill = fills_->next(*fill)) {
    const bool same = fill->end_units == args.end_units &&
                      static_cast<uint8_t>(fill->kind) == args.kind && fill->key == position.key;
    if (same && fill->state == FillState::kOpen) return fill;
  }
  return nullptr;
}

bool ObjectWriter::parent_known(CacheSession& session, const Position& position) {
  if (position.parent_units == 0) return true;
  // The session's own tip is the usual parent: no probe.
  if (session.tip.valid() && store_->tree().link(session.tip).units == position.parent_units &&
      store_->tree().key(session.tip) == position.parent_key) {
    return true;
  }
  if (store_->tree().find(session.root, NodeKind::kSpan, position.parent_key)) return true;
  for (Fill* fill = fills_->first(session); fill != nullptr; fill = fills_->next(*fill)) {
    if (fill->kind == FillKind::kSpan && fill->state != FillState::kAborting &&
        fill->key == position.parent_key) {
      return true;
    }
  }
  return false;
}

model::Result<void> ObjectWriter::claim(Fill& fill, HolderTag holder, model::GroupMask groups) {
  const std::vector<model::PlannedPage>& plan = plan_of(fill).pages;
  const model::GroupMask wanted = groups == 0 ? ~uint64_t{0} : groups;
  size_t claimed = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    if ((wanted >> plan[i].group & 1) == 0) continue;
    if (fill.claimed_by[i] != 0) {
      return make_error(Errc::kInvalidArgument,
                        "group " + std::to_string(plan[i].group) +
                            " of this object is being written by another process or fill");
    }
    ++claimed;
  }
  if (claimed == 0) return make_error(Errc::kInvalidArgument, "no group of this object is named");
  for (size_t i = 0; i < plan.size(); ++i) {
    if (wanted >> plan[i].group & 1) fill.claimed_by[i] = holder;
  }
  return {};
}

NodeStore::Room ObjectWriter::reserve(Fill& fill, CacheSession& session, const Root& root) {
  const std::vector<model::PlannedPage>& plan = plan_of(fill).pages;
  QUIRE_CHECK(plan.size() <= kMaxPagesPerObject);
  for (const model::PlannedPage& page : plan) {
    auto& hints =
        fill.kind == FillKind::kSpan ? session.last_span_slot : session.last_checkpoint_slot;
    SlotId slot;
    NodeStore::Room room =
        store_->allocate(root.classes[page.group], root.key.domain, hints[page.group], slot);
    if (room == NodeStore::Room::kNone && store_->thin_path(session.tip) > 0) {
      room = store_->allocate(root.classes[page.group], root.key.domain, hints[page.group], slot);
    }
    if (room != NodeStore::Room::kHave) {
      give_back(fill);
      return room;
    }
    hints[page.group] = slot;
    fill.slots[fill.page_count++] = slot;
  }
  fill.pages_missing = fill.page_count;
  return NodeStore::Room::kHave;
}

void ObjectWriter::give_back(Fill& fill) {
  for (size_t i = 0; i < fill.page_count; ++i) store_->pool().free(fill.slots[i]);
  fill.page_count = 0;
}

model::Result<BeginOutcome> ObjectWriter::begin(CacheSession& session, HolderTag holder,
                                                uint32_t members_so_far, const ChainView& chain,
                                                const BeginFillArgs& args) {
  const Root& root = names_->root(session.root);
  if (root.dead) return make_error(Errc::kStaleHandle, "the namespace moved to a later epoch");
  const Position position = QUIRE_TRY(locate(root, chain, args));
  const auto kind = static_cast<FillKind>(args.kind);
  if (note_duplicate(session, position, node_kind(kind))) {
    return BeginOutcome{BeginOutcome::Kind::kDuplicate, {}};
  }
  if (members_so_far > 1) {
    if (Fill* shared = find_shared(session, position, args); shared != nullptr) {
      QUIRE_TRY(claim(*shared, holder, args.groups));
      return BeginOutcome{BeginOutcome::Kind::kGranted, fills_->id_of(*shared)};
    }
  }
  if (!parent_known(session, position)) {
    return make_error(Errc::kNoParent, "the span before this position is not present; commit it");
  }
  const FillId id = QUIRE_TRY(fills_->add(session));
  Fill& fill = fills_->at(id);
  fill.key = position.key;
  fill.parent_key = position.parent_key;
  fill.parent_units = position.parent_units;
  fill.end_units = args.end_units;
  fill.kind = kind;
  fill.reason = static_cast<CheckpointReason>(std::min<uint8_t>(args.reason, 2));
  if (auto claimed = claim(fill, holder, args.groups); !claimed.ok()) {
    fills_->remove(id);
    return std::move(claimed).error();
  }
  const NodeStore::Room room = reserve(fill, session, root);
  if (room == NodeStore::Room::kHave) return BeginOutcome{BeginOutcome::Kind::kGranted, id};
  fills_->remove(id);
  if (room == NodeStore::Room::kPending) return BeginOutcome{BeginOutcome::Kind::kPending, {}};
  return make_error(Errc::kResourceExhausted,
                    "no memory for this object: everything present is pinned or in use");
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

FillOutcome ObjectWriter::copied(FillId id, std::span<const uint8_t> page_indexes,
                                 std::span<const uint32_t> checksums, std::vector<Linked>& linked) {
  Fill& fill = fills_->at(id);
  QUIRE_CHECK(fill.copies_in_flight > 0);
  --fill.copies_in_flight;
  if (fill.state == FillState::kAborting) {
    if (fill.copies_in_flight == 0) {
      give_back(fill);
      fills_->remove(id);
    }
    return FillOutcome::kAborted;
  }
  for (size_t i = 0; i < page_indexes.size(); ++i) {
    store_->pool().page(fill.slots[page_indexes[i]]).crc32c = checksums[i];
    fill.page_state[page_indexes[i]] = static_cast<uint8_t>(PageFill::kCopied);
    --fill.pages_missing;
  }
  if (fill.pages_missing > 0) return FillOutcome::kPartial;
  fill.state = FillState::kSealed;
  CacheSession& session = *fill.session;
  ++session.sealed_count;
  const FillOutcome outcome = finish_if_linkable(fill, linked);
  if (outcome != FillOutcome::kWaiting) link_waiting(session, linked);
  return outcome;
}

FillOutcome ObjectWriter::finish_if_linkable(Fill& fill, std::vector<Linked>& linked) {
  bool superseded = false;
  const FillOutcome outcome = try_link(fill, superseded);
  if (outcome == FillOutcome::kWaiting) return outcome;
  const FillId id = fills_->id_of(fill);
  linked.push_back({id, outcome, superseded, fill.kind, fill.end_units});
  if (outcome != FillOutcome::kVisible) give_back(fill);
  --fill.session->sealed_count;
  fills_->remove(id);
  return outcome;
}

// Links every sealed object of the session whose parent is there, until nothing more moves.
void ObjectWriter::link_waiting(CacheSession& session, std::vector<Linked>& linked) {
  for (bool moved = true; moved && session.sealed_count > 0;) {
    moved = false;
    for (Fill* fill = fills_->first(session); fill != nullptr;) {
      Fill* next = fills_->next(*fill);
      const bool sealed = fill->state == FillState::kSealed;
      if (sealed && finish_if_linkable(*fill, linked) != FillOutcome::kWaiting) moved = true;
      fill = next;
    }
  }
}

FillOutcome ObjectWriter::try_link(Fill& fill, bool& superseded) {
  CacheSession& session = *fill.session;
  const Root& root = names_->root(session.root);
  const NodeKind kind = node_kind(fill.kind);
  if (root.dead) return FillOutcome::kNoParent;
  if (const auto present = store_->tree().find(session.root, kind, fill.key)) {
    const bool useful = !store_->is_reachable(*present) && !store_->tree().link(*present).moving;
    if (!useful) {
      note_duplicate(session, {fill.key, fill.parent_key, fill.parent_units}, kind);
      return FillOutcome::kDuplicate;
    }
    // Present on an SSD that cannot be read: these pages serve from now on.
    store_->make_resident(*present, std::span(fill.slots.data(), fill.page_count));
    if (fill.kind == FillKind::kSpan) advance_tip(session, *present);
    return FillOutcome::kVisible;
  }
  NodeId parent = root.node;
  if (fill.parent_units > 0) {
    const auto found = store_->tree().find(session.root, NodeKind::kSpan, fill.parent_key);
    if (!found || store_->tree().link(*found).units != fill.parent_units) {
      const Position position{fill.key, fill.parent_key, fill.parent_units};
      return parent_known(session, position) && !found ? FillOutcome::kWaiting
                                                       : FillOutcome::kNoParent;
    }
    parent = *found;
  }
  const auto node = store_->add(parent, kind, fill.key, fill.end_units,
                                std::span(fill.slots.data(), fill.page_count), session.batch_class);
  if (!node) return FillOutcome::kNoNode;
  for (const model::PlannedPage& page : plan_of(fill).pages)
    counters_.committed_bytes += page.bytes;
  if (fill.kind == FillKind::kSpan) {
    ++counters_.committed_spans;
    advance_tip(session, *node);
  } else {
    ++counters_.committed_checkpoints;
    superseded = supersede_previous(session, fill, *node);
  }
  return FillOutcome::kVisible;
}

void ObjectWriter::advance_tip(CacheSession& session, NodeId node) {
  const PrefixTree& tree = store_->tree();
  if (session.tip.valid() && tree.link(session.tip).units >= tree.link(node).units) return;
  store_->pin(node);
  if (session.tip.valid()) store_->unpin(session.tip);
  session.tip = node;
}

bool ObjectWriter::replaceable(const CacheSession& session, NodeId checkpoint) const {
  const PrefixTree& tree = store_->tree();
  const NodeLink& link = tree.link(checkpoint);
  return link.first_child == session.owner_tag && !link.kept &&
         !tree.is_branch(tree.parent(checkpoint));
}

bool ObjectWriter::supersede_previous(CacheSession& session, const Fill& fill, NodeId node) {
  NodeLink& link = store_->tree().link(node);
  link.first_child = session.owner_tag;
  link.kept = fill.reason != CheckpointReason::kTurnEnd;
  if (link.kept) return false;
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
  return superseded;
}

bool ObjectWriter::supersede(CacheSession& session, const ChainView& chain, uint32_t end_units) {
  if (end_units == 0 || end_units > chain.count()) return false;
  const auto node =
      store_->tree().find(session.root, NodeKind::kCheckpoint, chain.after(end_units));
  if (!node || !replaceable(session, *node) || store_->tree().link(*node).pins > 0) return false;
  store_->supersede(*node);
  return true;
}

void ObjectWriter::abort_fill(Fill& fill, std::vector<Linked>& linked) {
  CacheSession& session = *fill.session;
  ++counters_.aborted;
  if (fill.copies_in_flight > 0) {
    fill.state = FillState::kAborting;
  } else {
    give_back(fill);
    fills_->remove(fills_->id_of(fill));
  }
  link_waiting(session, linked);
}

model::Result<void> ObjectWriter::abort(CacheSession& session, FillId id,
                                        std::vector<Linked>& linked) {
  Fill* fill = fills_->find(id, session);
  if (fill == nullptr || fill->state != FillState::kOpen) {
    return make_error(Errc::kNotFound, "no such fill, or it ended");
  }
  abort_fill(*fill, linked);
  return {};
}

void ObjectWriter::abort_holder(CacheSession& session, HolderTag holder,
                                std::vector<Linked>& linked) {
  const auto is_incomplete = [&](const Fill& fill) {
    if (fill.state != FillState::kOpen) return false;
    for (size_t i = 0; i < fill.page_count; ++i) {
      const bool own = fill.claimed_by[i] == holder;
      if (own && fill.page_state[i] != static_cast<uint8_t>(PageFill::kCopied)) return true;
    }
    return false;
  };
  // Aborting one may link or drop others, so the search starts over after each.
  for (Fill* fill = fills_->first(session); fill != nullptr;) {
    if (is_incomplete(*fill)) {
      abort_fill(*fill, linked);
      fill = fills_->first(session);
    } else {
      fill = fills_->next(*fill);
    }
  }
}

void ObjectWriter::abort_all(CacheSession& session, std::vector<Linked>& linked) {
  const auto still_open = [&]() -> Fill* {
    Fill* fill = fills_->first(session);
    while (fill != nullptr && fill->state != FillState::kOpen) fill = fills_->next(*fill);
    return fill;
  };
  while (Fill* fill = still_open()) abort_fill(*fill, linked);
}

}  // namespace quire::cache
