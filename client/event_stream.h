// A subscription to events: what is stored on which tier of a host, and what is removed
// (model/event_wire.h says what the records mean, and how they add up).
//
//   auto events = client->subscribe_events({.snapshot = EventSnapshot::kAtOnce});
//   for (;;) for (const Event& event : *(*events)->poll(1000)) ...
//
// Whoever reads too slowly gets a gap and, if asked for, a snapshot; nobody waits for it. The
// subscription ends with this object, or with its client. Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/event_wire.h"
#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::client {

// Lent until the next poll().
struct Event {
  model::EventKind kind = model::EventKind::kStart;
  const model::EventRecord* record = nullptr;
  const model::EventRoot* root = nullptr;  // null: it is of none, or of one that is not described
};

class EventStream {
 public:
  // `pipe`: as it came with the reply.
  explicit EventStream(model::FdGuard pipe);
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  // The next events, in their order; none when none came in so long. -1: waits for ever.
  // kUnavailable: the daemon ended the subscription, or went. kMalformedFrame.
  model::Result<std::span<const Event>> poll(int timeout_ms);
  // Readable when poll() may have something.
  int fd() const { return pipe_.get(); }

  // Where to go on after kUnavailable, or in another process (EventsOptions::resume).
  uint64_t epoch() const { return epoch_; }
  uint64_t last_sequence() const { return last_sequence_; }

 private:
  static constexpr size_t kReadBytes = 1 << 18;

  bool take_one(size_t& at);
  void note(const model::EventRecord& record);

  model::FdGuard pipe_;
  std::vector<char> bytes_;  // read, and not given out yet, behind `used_`
  size_t used_ = 0;
  std::vector<model::EventRecord> records_;  // of events_
  std::vector<Event> events_;
  std::map<uint32_t, model::EventRoot> roots_;
  std::vector<uint32_t> ended_roots_;  // go with the next poll
  uint64_t epoch_ = 0;
  uint64_t last_sequence_ = 0;
};

}  // namespace quire::client
