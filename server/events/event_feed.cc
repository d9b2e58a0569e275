#include "server/events/event_feed.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

namespace quire::server {

using model::DomainId;
using model::EventKind;
using model::EventRecord;
using model::NodeId;
using model::RootId;
using model::TierId;

namespace {

uint8_t kind_byte(EventKind kind) { return static_cast<uint8_t>(kind); }

// A domain is a user: its name is "uid:N".
uint32_t uid_of_domain(const std::string& name) {
  uint32_t uid = 0;
  std::from_chars(name.data() + name.find(':') + 1, name.data() + name.size(), uid);
  return uid;
}

// Where the numbers of a domain begin: nothing is to be learned from it, and whoever asks to go on
// with another user's number, or one of an earlier time, is past or before all there are.
uint64_t first_number(uint64_t epoch, uint32_t uid, uint16_t domain) {
  uint64_t mixed = (epoch ^ uint64_t{uid} << 16 ^ domain) * 0x9e3779b97f4a7c15ull;
  mixed = (mixed ^ mixed >> 31) * 0xbf58476d1ce4e5b9ull;
  return (mixed >> 24) + 1;
}

// Names of clients are clean; one that does not fit says nothing.
model::WireName wire_name(std::string_view name) {
  const auto wire = model::to_wire_name(name);
  return wire.ok() ? *wire : model::WireName{};
}

}  // namespace

model::Result<std::unique_ptr<EventFeed>> EventFeed::create(const Parts& parts) {
  auto ring = QUIRE_TRY(EventRing::create(parts.memory_bytes));
  std::unique_ptr<EventFeed> feed(new EventFeed(parts, std::move(ring)));
  for (EventSeat& seat : feed->seats_) {
    seat.walk_ring = QUIRE_TRY(EventRing::create(kWalkBytes));
  }
  return feed;
}

EventFeed::EventFeed(const Parts& parts, std::unique_ptr<EventRing> ring)
    : parts_(parts), ring_(std::move(ring)) {}

EventFeed::~EventFeed() {
  if (listening_) parts_.cache->listen(nullptr);
}

// Nobody reads now. What was numbered before is a hole for who comes back.
void EventFeed::start_listening() {
  listening_ = true;
  ++listening_span_;
  ring_->restart();
  roots_.clear();
  next_of_all_.fetch_add(1, std::memory_order_relaxed);
  for (Numbers& numbers : numbers_) numbers.next.fetch_add(1, std::memory_order_relaxed);
  parts_.cache->listen(this);
  note_readable();
}

EventFeed::Numbers& EventFeed::numbers_of(DomainId domain) {
  Numbers& numbers = numbers_[domain.value];
  const uint32_t uid = uid_of_domain(parts_.cache->names().domain_name(domain));
  if (numbers.uid != uid) {
    numbers.uid = uid;
    numbers.next.store(first_number(parts_.daemon_epoch, uid, domain.value),
                       std::memory_order_relaxed);
  }
  return numbers;
}

EventSeat* EventFeed::sit(std::optional<DomainId> domain) {
  const auto free = std::find_if(seats_.begin(), seats_.end(),
                                 [](const EventSeat& seat) { return seat.number == 0; });
  if (free == seats_.end()) return nullptr;
  if (!listening_) start_listening();
  ++seat_count_;
  free->number = ++last_reader_;
  free->uid.reset();
  free->next = &next_of_all_;
  if (domain) {
    Numbers& numbers = numbers_of(*domain);
    free->uid = numbers.uid;
    free->next = &numbers.next;
  }
  free->first_position = ring_->head();
  free->first_number = free->next->load(std::memory_order_relaxed);
  free->epoch = parts_.daemon_epoch;
  free->position.store(free->first_position, std::memory_order_relaxed);
  free->first_of_walks = free->walk_ring->head();
  free->walk_position.store(free->first_of_walks, std::memory_order_relaxed);
  free->wanted_walk.store(0, std::memory_order_relaxed);
  free->sent_count.store(0, std::memory_order_relaxed);
  free->gap_count.store(0, std::memory_order_relaxed);
  free->missed_count.store(0, std::memory_order_relaxed);
  free->walk = 0;
  free->walk_ended = true;
  return &*free;
}

void EventFeed::leave(EventSeat& seat) {
  add_figures(left_, seat);
  seat.number = 0;
  --seat_count_;
  idle_since_ns_ = parts_.clock->now_ns();
}

bool EventFeed::is_walking() const {
  return seat_count_ > 0 && std::any_of(seats_.begin(), seats_.end(), [](const EventSeat& seat) {
           return seat.number != 0 &&
                  (!seat.walk_ended ||
                   seat.wanted_walk.load(std::memory_order_relaxed) != seat.walk);
         });
}

// One seat a step, in turns: a reader that does not read holds up its own snapshot alone.
bool EventFeed::step(int64_t now_ns) {
  if (!listening_) return false;
  note_readable();
  roots_.forget_before(ring_->oldest());
  if (seat_count_ == 0) {
    if (now_ns - idle_since_ns_ < kLingerNs) return false;
    parts_.cache->listen(nullptr);
    listening_ = false;
    return false;
  }
  for (size_t i = 0; i < kSeats; ++i) {
    EventSeat& seat = seats_[next_seat_];
    next_seat_ = (next_seat_ + 1) % kSeats;
    if (seat.number != 0 && walk(seat)) return true;
  }
  return false;
}

void EventFeed::note_readable() {
  uint8_t readable = 0;
  for (const TierId tier : model::kTiers) {
    if (parts_.cache->store().presence().is_readable(tier)) readable |= model::tier_bit(tier);
  }
  readable_tiers_.store(readable, std::memory_order_relaxed);
}

const EventFeed::RootFacts& EventFeed::facts_of(RootId root) {
  if (facts_.size() <= root.value) facts_.resize(root.value + size_t{1});
  RootFacts& facts = facts_[root.value];
  if (facts.listening != listening_span_) describe(root, facts);
  return facts;
}

void EventFeed::describe(RootId id, RootFacts& facts) {
  const cache::Root& root = parts_.cache->names().root(id);
  facts = {.listening = listening_span_, .ended = root.dead, .layout = root.layout};
  if (root.dead) return;
  facts.told = true;
  const model::Layout& layout = root.layout->layout;
  facts.domain = root.key.domain.value;
  facts.uid = *numbers_of(root.key.domain).uid;
  NamedRoot named{.uid = facts.uid, .hash = root.hash};
  named.root.domain = wire_name(parts_.cache->names().domain_name(root.key.domain));
  named.root.tenant = wire_name(root.key.tenant);
  named.root.namespace_name = wire_name(root.key.namespace_name);
  named.root.layout = wire_name(layout.name);
  named.root.layout_digest = root.layout->digest;
  named.root.weights_epoch = root.key.weights_epoch;
  named.root.unit_tokens = layout.unit_tokens;
  named.root.block_tokens = layout.block_tokens;
  named.root.group_count = static_cast<uint32_t>(layout.groups.size());
  for (size_t i = 0; i < layout.groups.size(); ++i) {
    named.root.groups[i].kind = static_cast<uint8_t>(layout.groups[i].kind);
    named.root.groups[i].window_tokens = layout.groups[i].window_tokens;
  }
  facts.number = roots_.add(std::move(named));
}

EventRecord EventFeed::record_of(NodeId id, const RootFacts& facts) const {
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const cache::Node& node = tree.node(id);
  const cache::Node& parent = tree.node(node.parent());
  const uint32_t unit_tokens = facts.layout->layout.unit_tokens;
  EventRecord record;
  record.fill = static_cast<uint8_t>(cache::fill_kind(node.kind()));
  record.groups = facts.layout->append;
  if (node.is_checkpoint()) {
    const bool cuts_block = node.units() % facts.layout->units_per_block != 0;
    record.groups = facts.layout->checkpoint | (cuts_block ? facts.layout->append : 0);
  }
  record.tokens = node.units() * unit_tokens;
  record.parent_tokens = parent.units() * unit_tokens;
  record.root = facts.number;
  record.uid = facts.uid;
  record.hash = tree.key(id);
  // A root's node has no key of its own.
  record.parent =
      parent.is_root() ? parts_.cache->names().root(node.root()).hash : tree.key(node.parent());
  return record;
}

void EventFeed::tell(EventKind kind, NodeId node, TierId tier) {
  const RootFacts& facts = facts_of(parts_.cache->store().tree().node(node).root());
  // Nothing of it can be found any more; that its copies go is told where it was known.
  if (facts.ended && (kind == EventKind::kStored || !facts.told)) return;
  EventRecord record = record_of(node, facts);
  record.kind = kind_byte(kind);
  record.tiers = model::tier_bit(tier);
  push(record, facts);
}

// The numbers last: who sees them sees the record too.
void EventFeed::push(EventRecord& record, const RootFacts& facts) {
  std::atomic<uint64_t>& of_domain = numbers_[facts.domain].next;
  record.sequence = next_of_all_.load(std::memory_order_relaxed);
  record.last = of_domain.load(std::memory_order_relaxed);
  ring_->push(record);
  next_of_all_.store(record.sequence + 1, std::memory_order_release);
  of_domain.store(record.last + 1, std::memory_order_release);
  ++told_;
}

void EventFeed::stored(NodeId node, TierId tier) { tell(EventKind::kStored, node, tier); }
void EventFeed::removed(NodeId node, TierId tier) { tell(EventKind::kRemoved, node, tier); }

// Twice for one that is buried before it is forgotten.
void EventFeed::ended(RootId id) {
  if (facts_.size() <= id.value || facts_[id.value].listening != listening_span_) return;
  RootFacts& facts = facts_[id.value];
  const cache::Root& root = parts_.cache->names().root(id);
  if (!std::exchange(facts.ended, true)) {
    EventRecord record;
    record.kind = kind_byte(EventKind::kCleared);
    record.root = facts.number;
    record.uid = facts.uid;
    record.hash = root.hash;
    push(record, facts);
    if (root.dead) return;  // its objects go one by one
  }
  roots_.retire(facts.number, ring_->head());
  facts = {};
}

// Before all events from here on.
void EventFeed::push_of_walk(EventSeat& seat, EventRecord record) {
  record.count = seat.walk;
  record.sequence = ring_->head();
  seat.walk_ring->push(record);
}

// True: it went on, and is not at its end.
bool EventFeed::walk(EventSeat& seat) {
  const uint32_t wanted = seat.wanted_walk.load(std::memory_order_acquire);
  if (wanted == seat.walk && seat.walk_ended) return false;
  const auto has_room = [&] {
    const uint64_t behind =
        seat.walk_ring->head() - seat.walk_position.load(std::memory_order_acquire);
    return behind < seat.walk_ring->capacity();
  };
  if (!has_room()) return false;
  if (wanted != seat.walk) {
    seat.walk = wanted;
    seat.walk_ended = false;
    seat.next_node = 0;
    seat.held_count = 0;
    push_of_walk(seat, {.kind = kind_byte(EventKind::kSnapshotBegin)});
  }
  const cache::PrefixTree& tree = parts_.cache->store().tree();
  const uint32_t first = seat.next_node;
  const uint32_t end = std::min(first + kWalkedNodes, tree.end_of_nodes());
  for (; seat.next_node < end && has_room(); ++seat.next_node) {
    const NodeId id{seat.next_node};
    const cache::Node& node = tree.node(id);
    if (!node.is_object() || node.is_quarantined()) continue;
    const RootFacts& facts = facts_of(node.root());
    if (facts.ended || (seat.uid && *seat.uid != facts.uid)) continue;
    EventRecord record = record_of(id, facts);
    record.kind = kind_byte(EventKind::kHeld);
    for (const TierId tier : model::kTiers) {
      if (node.is_in(tier)) record.tiers |= model::tier_bit(tier);
    }
    push_of_walk(seat, record);
    ++seat.held_count;
  }
  if (seat.next_node >= tree.end_of_nodes() && has_room()) {
    push_of_walk(seat, {.kind = kind_byte(EventKind::kSnapshotEnd), .last = seat.held_count});
    seat.walk_ended = true;
  }
  return !seat.walk_ended && seat.next_node > first;
}

void EventFeed::add_figures(EventCounters& to, const EventSeat& seat) {
  to.sent += seat.sent_count.load(std::memory_order_relaxed);
  to.gaps += seat.gap_count.load(std::memory_order_relaxed);
  to.missed += seat.missed_count.load(std::memory_order_relaxed);
}

void EventFeed::describe(model::MetricSink& sink) const {
  EventCounters had = left_;
  const uint64_t oldest = ring_->oldest();
  uint64_t furthest = 0;
  for (const EventSeat& seat : seats_) {
    if (seat.number == 0) continue;
    add_figures(had, seat);
    const uint64_t position =
        std::max(seat.position.load(std::memory_order_acquire), oldest);  // behind it is a gap
    const uint64_t head = ring_->head();
    furthest = std::max(furthest, head - std::min(position, head));
  }
  sink.flag("listening", listening_, "Events are numbered: somebody listens, or did lately");
  sink.gauge("subscribers", seat_count_, "Who listens now, the ZeroMQ publisher among them");
  sink.counter("told", told_, "Events that were numbered: stored, removed, cleared");
  model::describe(sink, had);
  sink.gauge("ring_records", ring_->capacity(), "That the ring has place for: --event_memory");
  sink.gauge("ring_used_records", ring_->head() - oldest, "In the ring, for whoever comes back");
  sink.gauge("furthest_behind_records", furthest,
             "That the slowest subscriber has not read; at ring_records it has a gap");
}

void EventFeed::describe_own(uint32_t uid, model::MetricSink& sink) const {
  EventCounters had;
  uint64_t count = 0;
  for (const EventSeat& seat : seats_) {
    if (seat.number == 0 || seat.uid != uid) continue;
    ++count;
    add_figures(had, seat);
  }
  // What ended is not counted on: gauges.
  sink.gauge("subscribers", count, "Subscriptions of this user that are under way");
  sink.gauge("sent_records", had.sent, "Records handed to them: events, snapshots, gaps");
  sink.gauge("gaps", had.gaps, "Times that one of them was told of a gap");
  sink.gauge("missed_events", had.missed, "Events that lay in gaps");
}

}  // namespace quire::server
