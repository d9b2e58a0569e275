#include "server/events/event_cursor.h"

#include <algorithm>
#include <utility>

namespace quire::server {

using model::EventKind;
using model::EventRecord;
using model::EventSnapshot;

namespace {

EventRecord record_of_kind(EventKind kind) { return {.kind = static_cast<uint8_t>(kind)}; }

// Words of the seat of which this reader is the only writer.
void add_to(std::atomic<uint64_t>& word, uint64_t more) {
  word.store(word.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace

EventCursor::EventCursor(const EventFeed* feed, EventSeat* seat, const Options& options)
    : feed_(feed),
      seat_(seat),
      snapshot_(options.snapshot),
      expected_(seat->first_number),
      position_(seat->first_position),
      walk_position_(seat->first_of_walks) {
  if (!options.resume) return;
  const uint64_t wanted = options.resume->sequence + 1;
  if (options.resume->epoch != seat->epoch || wanted > expected_) {
    whole_gap_ = true;
    return;
  }
  // From the oldest that there is: what was told already is left out, what is gone is a gap.
  expected_ = wanted;
  position_ = feed->ring().oldest();
  maybe_missed_ = true;
}

void EventCursor::start(EventSink& sink) {
  started_ = true;
  EventRecord first = record_of_kind(EventKind::kStart);
  first.sequence = expected_;
  first.count = seat_->epoch;
  send(first, sink);
  tell_readable(sink);
  if (snapshot_ == EventSnapshot::kAtOnce) want_snapshot();
  // Numbers of another epoch are no numbers of this one.
  if (!std::exchange(whole_gap_, false)) return;
  EventRecord gap = record_of_kind(EventKind::kGap);
  gap.last = expected_ - 1;
  send(gap, sink);
  if (snapshot_ == EventSnapshot::kAfterGaps) want_snapshot();
}

bool EventCursor::step(EventSink& sink) {
  if (!started_) start(sink);
  if (feed_->readable_tiers() != readable_told_) tell_readable(sink);
  // Before the ring is looked at: what has a number below this one is there then.
  const uint64_t next = seat_->next->load(std::memory_order_acquire);
  const EventRing::Read read = feed_->ring().read(position_, batch_);
  if (read.lapped) {
    maybe_missed_ = true;
    // What the walk found stands in between events that are gone, whose roots may be, too.
    if (in_snapshot_) want_snapshot();
  }
  // The walk's ring is read after the other one: what a walk wrote before an event is there then.
  const uint64_t first = position_ - read.count;
  bool walked = false;
  for (size_t i = 0; i < read.count; ++i) {
    walked = take_walk_up_to(first + i, SIZE_MAX, sink) || walked;
    take(batch_[i], sink);
  }
  seat_->position.store(position_, std::memory_order_release);
  walked = take_walk_up_to(position_, kRecordsAStep, sink) || walked;
  if (read.count > 0 || walked) return walked || read.count == batch_.size();
  if (maybe_missed_ && expected_ < next) tell_gap(next, sink);
  maybe_missed_ = false;
  return false;
}

bool EventCursor::take_walk_up_to(uint64_t position, size_t most, EventSink& sink) {
  size_t taken = 0;
  for (; taken < most; ++taken) {
    if (walk_first_ == walk_count_) {
      walk_first_ = 0;
      walk_count_ = seat_->walk_ring->read(walk_position_, walk_batch_).count;
      if (walk_count_ == 0) break;
    }
    const EventRecord& record = walk_batch_[walk_first_];
    if (record.sequence > position) break;
    take_of_walk(record, sink);
    ++walk_first_;
    // Taken, and not before: what is read ahead counts as the reader's.
    seat_->walk_position.store(walk_position_ - (walk_count_ - walk_first_),
                               std::memory_order_release);
  }
  return taken > 0;
}

void EventCursor::take(EventRecord record, EventSink& sink) {
  if (seat_->uid && *seat_->uid != record.uid) return;
  const uint64_t number = seat_->uid ? record.last : record.sequence;
  if (number < expected_) return;  // told in an earlier subscription
  if (number > expected_) tell_gap(number, sink);
  expected_ = number + 1;
  describe_up_to(record.root, sink);
  record.root = told_number(record.root);
  record.sequence = number;
  record.last = 0;
  send(record, sink);
}

void EventCursor::take_of_walk(EventRecord record, EventSink& sink) {
  if (record.count != walk_) return;  // of one that was begun anew
  const auto kind = static_cast<EventKind>(record.kind);
  if (kind == EventKind::kHeld) {
    describe_up_to(record.root, sink);
    record.root = told_number(record.root);
  }
  if (kind == EventKind::kSnapshotEnd) in_snapshot_ = false;
  record.sequence = expected_ - 1;
  record.count = std::exchange(record.last, 0);
  send(record, sink);
}

void EventCursor::describe_up_to(uint32_t root, EventSink& sink) {
  if (root <= described_) return;
  for (const NamedRoot& named : feed_->roots().between(described_, root, seat_->uid)) {
    if (seat_->uid) own_roots_.push_back(named.number);
    EventRecord record = record_of_kind(EventKind::kRoot);
    record.root = told_number(named.number);
    record.uid = named.uid;
    record.hash = named.hash;
    sink.take_root(record, named.root);
    add_to(seat_->sent_count, 1);
  }
  described_ = root;
  for (; own_roots_.size() > kMostOwnRoots; ++first_own_) own_roots_.pop_front();
}

uint32_t EventCursor::told_number(uint32_t root) const {
  if (!seat_->uid || root == 0) return root;
  const auto found = std::lower_bound(own_roots_.begin(), own_roots_.end(), root);
  if (found == own_roots_.end() || *found != root) return 0;
  return first_own_ + static_cast<uint32_t>(found - own_roots_.begin());
}

void EventCursor::tell_gap(uint64_t next, EventSink& sink) {
  EventRecord gap = record_of_kind(EventKind::kGap);
  gap.sequence = expected_;
  gap.last = next - 1;
  expected_ = next;
  send(gap, sink);
  if (snapshot_ != EventSnapshot::kNever) want_snapshot();
}

void EventCursor::tell_readable(EventSink& sink) {
  EventRecord readable = record_of_kind(EventKind::kReadable);
  readable_told_ = feed_->readable_tiers();
  readable.tiers = readable_told_;
  send(readable, sink);
}

void EventCursor::send(const EventRecord& record, EventSink& sink) {
  add_to(seat_->sent_count, 1);
  if (static_cast<EventKind>(record.kind) == EventKind::kGap) {
    add_to(seat_->gap_count, 1);
    // A gap of everything has no first number: how much it is nobody knows.
    if (record.sequence != 0) add_to(seat_->missed_count, record.last + 1 - record.sequence);
  }
  sink.take(record);
}

void EventCursor::want_snapshot() {
  in_snapshot_ = true;
  seat_->wanted_walk.store(++walk_, std::memory_order_release);
}

}  // namespace quire::server
