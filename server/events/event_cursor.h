// One reader's way through the ring: what its seat hears, in the order in which it happened, with
// gaps told where they are (model/event_wire.h).
//
//   kStart --> step(), step() ... --> sink
//
// Invariants: numbers that go to the sink have no hole that kGap does not tell; a root is described
// before the first event that names it; a snapshot that lost a part of itself is begun anew.
// Threads: the one that reads, which need not be the core; the core has the seat's other side.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "model/event_wire.h"
#include "server/events/event_feed.h"

namespace quire::server {

// Where records go.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void take(const model::EventRecord& record) = 0;
  // A kRoot.
  virtual void take_root(const model::EventRecord& record, const model::EventRoot& root) = 0;
};

// The last event that somebody had, of an earlier subscription.
struct EventResume {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
};

class EventCursor {
 public:
  static constexpr size_t kRecordsAStep = 256;
  static constexpr size_t kMostOwnRoots = 65536;  // older ones are known by no number any more

  struct Options {
    std::optional<EventResume> resume;  // none: from now on
    model::EventSnapshot snapshot = model::EventSnapshot::kNever;
  };
  // `seat` was just given out. Both outlive the cursor.
  EventCursor(const EventFeed* feed, EventSeat* seat, const Options& options);
  EventCursor(const EventCursor&) = delete;
  EventCursor& operator=(const EventCursor&) = delete;

  // Reads at most kRecordsAStep of the ring, and what a walk wrote in between. True: there may be
  // more.
  bool step(EventSink& sink);

 private:
  void start(EventSink& sink);
  void tell_readable(EventSink& sink);
  void take(model::EventRecord record, EventSink& sink);
  // What a walk wrote before this position of the events' ring, so many at most. True: any.
  bool take_walk_up_to(uint64_t position, size_t most, EventSink& sink);
  void take_of_walk(model::EventRecord record, EventSink& sink);
  void describe_up_to(uint32_t root, EventSink& sink);
  // What this reader knows a root by: a user's own stream counts its own roots alone, so that their
  // numbers say nothing of others.
  uint32_t told_number(uint32_t root) const;
  // Of numbers up to before `next` nothing is known.
  void tell_gap(uint64_t next, EventSink& sink);
  void want_snapshot();
  void send(const model::EventRecord& record, EventSink& sink);

  const EventFeed* feed_;
  EventSeat* seat_;
  const model::EventSnapshot snapshot_;
  bool started_ = false;
  bool whole_gap_ = false;     // what was asked to go on with is not known
  bool maybe_missed_ = false;  // something was written over; whether it was its own is not known
  bool in_snapshot_ = false;   // from its being wanted to its end
  uint32_t walk_ = 0;          // the one that counts
  uint8_t readable_told_ = 0;
  uint32_t described_ = 0;          // roots up to this number
  std::deque<uint32_t> own_roots_;  // of a user's stream: those described, in order
  uint32_t first_own_ = 1;          // what the first of them is known by
  uint64_t expected_ = 0;           // number of the next event
  uint64_t position_ = 0;
  std::array<model::EventRecord, kRecordsAStep> batch_;
  // Of the seat's walk_ring: what was read and stands behind position_ still.
  uint64_t walk_position_ = 0;
  size_t walk_first_ = 0;
  size_t walk_count_ = 0;
  std::array<model::EventRecord, kRecordsAStep> walk_batch_;
};

}  // namespace quire::server
