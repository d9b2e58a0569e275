#include "cache/fill/fill_table.h"

#include <utility>

namespace quire::cache {

using model::Errc;
using model::FillId;

namespace {

uint32_t index_of(FillId id) { return static_cast<uint32_t>(id.value); }
uint32_t generation_of(FillId id) { return static_cast<uint32_t>(id.value >> 32); }
bool is_live(const Fill& fill) {
  return fill.state != FillState::kFree && fill.state != FillState::kEnded;
}

}  // namespace

FillTable::FillTable(allocator::FlatArray<Fill> fills, ChainIndex places, ChainIndex objects)
    : fills_(std::move(fills)), places_(std::move(places)), objects_(std::move(objects)) {}

model::Result<FillTable> FillTable::create(uint64_t seed) {
  auto fills = QUIRE_TRY(allocator::FlatArray<Fill>::reserve(kMaxFills));
  ChainIndex places = QUIRE_TRY(ChainIndex::create(kMaxFills, seed));
  ChainIndex objects = QUIRE_TRY(ChainIndex::create(kMaxFills, seed));
  return FillTable(std::move(fills), std::move(places), std::move(objects));
}

// Sessions may fill the same object, each its own: their number tells them apart. The products only
// spread; keys are compared.
uint64_t FillTable::hash_of(const CacheSession& session, const FillPlace& place) const {
  const uint32_t position = place.end_units << 1 | static_cast<uint32_t>(place.kind);
  return places_.hash(place.key, session.number * 0x9e3779b1u ^ position);
}

uint64_t FillTable::hash_of_object(const CacheSession& session, const FillPlace& place) const {
  const uint32_t position = place.end_units << 1 | static_cast<uint32_t>(place.kind);
  return objects_.hash(place.key, ~(session.root.value * 0x9e3779b1u ^ position));
}

Fill* FillTable::find_first(const CacheSession& session, const FillPlace& place) {
  const auto found = objects_.find(hash_of_object(session, place), [&](model::NodeId index) {
    const Fill& fill = fills_[index.value];
    return fill.session->root == session.root && fill.kind == place.kind &&
           fill.end_units == place.end_units && fill.key == place.key;
  });
  return found ? &fills_[found->value] : nullptr;
}

Fill* FillTable::find_foreign(const CacheSession& session, const FillPlace& place) {
  Fill* first = find_first(session, place);
  return first != nullptr && first->session != &session ? first : nullptr;
}

model::Result<FillId> FillTable::add(CacheSession& session, model::DomainId domain,
                                     const FillPlace& place) {
  if (session.fill_count >= kMaxFillsPerSession || by_domain_[domain.value] >= kMaxFills - count_) {
    return model::make_error(Errc::kBusy, "too many fills are open; commit or abort some");
  }
  uint32_t index = used_end_;
  if (free_head_ != 0) {
    index = free_head_ - 1;
    free_head_ = fills_[index].next;
  } else {
    ++used_end_;
  }
  Fill& fill = fills_[index];
  // Odd from here on, even again with remove(): an id of an earlier life never fits.
  const uint32_t generation = fill.generation + 1;
  fill = Fill{};
  fill.generation = generation;
  fill.session = &session;
  fill.domain = domain;
  fill.key = place.key;
  fill.kind = place.kind;
  fill.end_units = place.end_units;
  fill.state = FillState::kReserving;
  places_.insert(hash_of(session, place), model::NodeId{index});
  // Only the first fill of an object is known by it: equal hashes of many sessions would pile up in
  // one bucket.
  if (find_first(session, place) == nullptr) {
    fill.known_by_object = true;
    objects_.insert(hash_of_object(session, place), model::NodeId{index});
  }
  ++session.fill_count;
  ++by_domain_[domain.value];
  ++count_;
  return id_of(fill);
}

// The id comes from a client: index, generation and session are checked before it is believed.
Fill* FillTable::find(FillId id, const CacheSession& session) {
  const uint32_t index = index_of(id);
  if (index >= used_end_) return nullptr;
  Fill& fill = fills_[index];
  const bool live = (fill.generation & 1) != 0 && fill.generation == generation_of(id);
  return live && fill.session == &session ? &fill : nullptr;
}

Fill* FillTable::find(const CacheSession& session, const FillPlace& place) {
  const auto found = places_.find(hash_of(session, place), [&](model::NodeId index) {
    const Fill& fill = fills_[index.value];
    return fill.session == &session && fill.kind == place.kind &&
           fill.end_units == place.end_units && fill.key == place.key;
  });
  return found ? &fills_[found->value] : nullptr;
}

Fill& FillTable::at(FillId id) {
  Fill& fill = fills_[index_of(id)];
  QUIRE_CHECK(fill.generation == generation_of(id));
  return fill;
}

Fill* FillTable::at_index(uint32_t index, const CacheSession& session) {
  Fill& fill = fills_[index];
  return fill.session == &session ? &fill : nullptr;
}

FillId FillTable::id_of(const Fill& fill) const {
  return FillId{uint64_t{fill.generation} << 32 | (encode(fill) - 1)};
}

void FillTable::end(Fill& fill) {
  QUIRE_CHECK(is_live(fill));
  const FillPlace place{fill.key, fill.kind, fill.end_units};
  const model::NodeId index{encode(fill) - 1};
  // Out of the indexes at once: the object may be begun anew while copies of this fill are in
  // flight. Another session's fill of it stays unknown: find_foreign() may miss, and both are
  // written.
  QUIRE_CHECK(places_.erase(hash_of(*fill.session, place), index));
  if (fill.known_by_object) {
    QUIRE_CHECK(objects_.erase(hash_of_object(*fill.session, place), index));
    fill.known_by_object = false;
  }
  fill.state = FillState::kEnded;
}

void FillTable::remove(Fill& fill) {
  QUIRE_CHECK(fill.state == FillState::kEnded && !fill.in_ended_queue);
  QUIRE_CHECK(fill.waits_for == 0 && fill.first_waiting == 0);
  --fill.session->fill_count;
  --by_domain_[fill.domain.value];
  ++fill.generation;
  fill.state = FillState::kFree;
  fill.session = nullptr;
  fill.next = free_head_;
  free_head_ = encode(fill);
  --count_;
}

void FillTable::wait(Fill& fill, Fill& parent) {
  QUIRE_CHECK(fill.waits_for == 0 && is_live(parent));
  fill.waits_for = encode(parent);
  fill.previous_waiting = parent.last_waiting;
  fill.next_waiting = 0;
  if (Fill* last = from(parent.last_waiting); last != nullptr) {
    last->next_waiting = encode(fill);
  } else {
    parent.first_waiting = encode(fill);
  }
  parent.last_waiting = encode(fill);
}

void FillTable::stop_waiting(Fill& fill) {
  Fill* parent = from(fill.waits_for);
  if (parent == nullptr) return;
  Fill* previous = from(fill.previous_waiting);
  Fill* next = from(fill.next_waiting);
  (previous == nullptr ? parent->first_waiting : previous->next_waiting) = fill.next_waiting;
  (next == nullptr ? parent->last_waiting : next->previous_waiting) = fill.previous_waiting;
  fill.waits_for = fill.previous_waiting = fill.next_waiting = 0;
}

bool FillTable::enqueue_ended(Fill& fill) {
  CacheSession& session = *fill.session;
  QUIRE_CHECK(fill.state == FillState::kEnded && !fill.in_ended_queue);
  fill.in_ended_queue = true;
  fill.next_ended = 0;
  const bool was_empty = session.first_ended == 0;
  if (was_empty) {
    session.first_ended = encode(fill);
  } else {
    from(session.last_ended)->next_ended = encode(fill);
  }
  session.last_ended = encode(fill);
  return was_empty;
}

void FillTable::dequeue_ended(CacheSession& session) {
  Fill& first = *from(session.first_ended);
  first.in_ended_queue = false;
  session.first_ended = first.next_ended;
  if (session.first_ended == 0) session.last_ended = 0;
}

void FillTable::check_invariants() const {
  uint64_t used = 0;
  uint64_t live = 0;
  uint64_t known = 0;
  for (uint32_t index = 0; index < used_end_; ++index) {
    const Fill& fill = fills_[index];
    if (fill.state == FillState::kFree) continue;
    ++used;
    live += is_live(fill) ? 1 : 0;
    known += fill.known_by_object ? 1 : 0;
    QUIRE_CHECK(is_live(fill) || !fill.known_by_object);
    if (fill.waits_for == 0) continue;
    const Fill& parent = fills_[fill.waits_for - 1];
    QUIRE_CHECK(fill.state == FillState::kSealed && parent.session == fill.session);
    QUIRE_CHECK(parent.kind == model::FillKind::kSpan && parent.end_units == fill.parent.units);
    QUIRE_CHECK(is_live(parent) || parent.in_ended_queue);
  }
  QUIRE_CHECK(used == count_ && live == places_.size() && known == objects_.size());
}

}  // namespace quire::cache
