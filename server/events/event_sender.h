// Sends events to those who subscribed (FrameType::kEvents), each through a pipe of its own.
//
//   core: subscribe, forget, reclaim         helper thread: EventCursor --> PipeWriter --> pipe
//
//   kFree --subscribe--> kSending --forget--> kClosing --nobody reads, or it was told all--> kGone
//                           '--nobody reads any more---------------------------------'
//   kGone --reclaim--> kFree
//
// A subscriber that is slow, or stopped, fills its pipe; its position in the ring stays where it
// is, until the ring goes over it and it has a gap. The core pays nothing for it.
//
// Phases: each is an atomic, stored with release, loaded with acquire. What is in kSending or
// kClosing is the helper's; the core alone frees what is in kGone. Threads: core, but for
// run_once(), which is the helper's. Bounds: kMostSubscribers, of them kMostOfOneUser a user, a
// pipe and a message each; a closing one has kDrainNs.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "model/clock.h"
#include "model/fd_guard.h"
#include "model/helper_thread.h"
#include "model/result.h"
#include "server/events/event_cursor.h"
#include "server/events/event_feed.h"
#include "server/runtime/pipe_writer.h"

namespace quire::server {

struct EventSubscriber {
  const void* owner = nullptr;            // whose end is the subscription's
  uint32_t uid = 0;                       // of the owner, for its share
  std::optional<model::DomainId> domain;  // whose events; none: everybody's
  model::FdGuard write_end;               // non-blocking
  EventCursor::Options options;
};

class EventSender {
 public:
  static constexpr size_t kMostSubscribers = EventFeed::kSeats - 4;  // some are the daemon's own
  static constexpr size_t kMostOfOneUser = 8;
  static constexpr int64_t kDrainNs = 1'000'000'000;

  // Both outlive it. Without a thread, whoever made it calls run_once(); else one is started with
  // the first subscriber.
  EventSender(EventFeed* feed, const model::Clock* clock, bool with_thread)
      : feed_(feed), clock_(clock), with_thread_(with_thread) {}

  // kBusy: its user, or all together, have as many as may be. kResourceExhausted.
  model::Result<void> subscribe(EventSubscriber subscriber);
  // The owner is gone: what the ring has for it still goes out to who reads on.
  void forget(const void* owner);
  // Gives seats back whose readers are gone.
  void reclaim();
  // Ends subscriptions to everybody's events whose owner `may(owner)` not hear them any more.
  void recheck(const std::function<bool(const void* owner)>& may);
  size_t count() const { return count_; }

  // Sends on what waits, as far as the pipes take it.
  std::chrono::milliseconds run_once();

 private:
  enum class Phase : uint8_t { kFree, kSending, kClosing, kGone };
  struct Subscription {
    std::atomic<Phase> phase{Phase::kFree};
    // Core.
    const void* owner = nullptr;
    uint32_t uid = 0;
    bool everything = false;
    EventSeat* seat = nullptr;
    // Helper, but for subscribe.
    std::optional<EventCursor> cursor;
    std::optional<PipeWriter> writer;
    int64_t close_by_ns = 0;  // 0: it is not closing yet
  };
  class Message;

  model::Result<Subscription*> find_place(uint32_t uid);
  // True: there may be more to do at once.
  bool send(Subscription& to);
  static void close(Subscription& subscription);

  EventFeed* feed_;
  const model::Clock* clock_;
  const bool with_thread_;
  size_t count_ = 0;  // the core's
  std::array<Subscription, kMostSubscribers> subscriptions_;
  model::HelperThread helper_;  // last: ends before what it uses goes
};

}  // namespace quire::server
