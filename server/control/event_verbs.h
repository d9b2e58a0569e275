// A subscription to what is stored and removed (server/events/), answered by a pipe that ends with
// its connection. A client hears of its own domain, a reader of every one. Threads: core only.
#pragma once

#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/events/event_sender.h"

namespace quire::server {

class EventVerbs {
 public:
  // Null: events are off.
  explicit EventVerbs(EventSender* sender) : sender_(sender) {}

  // EventsRequest; a ReplyStatus with the pipe's read end. kNotFound: events are off.
  // kBusy: too many subscriptions.
  model::Result<void> events(const VerbCall& call);
  void forget(const Connection& connection) {
    if (sender_ != nullptr) sender_->forget(&connection);
  }

 private:
  EventSender* sender_;
};

}  // namespace quire::server
