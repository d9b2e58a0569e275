// The daemon's events: the feed that notes them, and those who carry them out, to subscribers on
// the socket and, where it is asked for, to ZeroMQ.
//
// Threads: core only; carriers have threads of their own.
#pragma once

#include <functional>
#include <memory>

#include "server/events/event_feed.h"
#include "server/events/event_sender.h"
#include "server/events/zmq_publisher.h"

namespace quire::server {

class EventService {
 public:
  static model::Result<std::unique_ptr<EventService>> create(const EventFeed::Parts& parts);

  // To be called by whom the socket path belongs to: a second daemon would take the first one's
  // endpoints. Errors of ZmqPublisher::start().
  model::Result<void> publish(const ZmqEndpoints& endpoints, EnvelopeShape shape);

  // A bounded step. True when the next one has something to do already.
  bool step(int64_t now_ns);
  // A walk goes on as its reader keeps up, which wakes nobody.
  bool is_walking() const { return feed_->is_walking(); }

  const EventFeed& feed() const { return *feed_; }
  EventSender& sender() { return *sender_; }

 private:
  EventService() = default;

  std::unique_ptr<EventFeed> feed_;
  std::unique_ptr<EventSender> sender_;
  std::unique_ptr<ZmqPublisher> zmq_;  // null: not asked for
};

}  // namespace quire::server
