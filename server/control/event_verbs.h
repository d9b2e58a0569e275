// The verbs of routers: a subscription to what is stored and removed (server/events/), answered by
// a pipe that ends with its connection; and how much of a chain is here, asked without a session.
// That answers at once from what is known: a router asks every host, and each would search the
// cluster that all share for the same.
//
// A client hears and asks of its own domain, a reader of every one. Who asks for a root
// that is another domain's, or a tenant's that it may not speak for, is told what it would be told
// if there were none (law 13). Threads: core only.
#pragma once

#include <functional>
#include <string>

#include "cache/cache.h"
#include "model/result.h"
#include "server/control/verb_call.h"
#include "server/events/event_sender.h"

namespace quire::server {

class EventVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    EventSender* sender = nullptr;  // null: events are off
    // Whether this uid may speak for that tenant of its domain.
    std::function<bool(uint32_t uid, const std::string& tenant)> speaks_for;
  };
  explicit EventVerbs(Parts parts) : parts_(std::move(parts)) {}

  // EventsRequest; a ReplyStatus with the pipe's read end. kNotFound: events are off.
  // kBusy: too many subscriptions.
  model::Result<void> events(const VerbCall& call);
  // LocateRequest and chain hashes; LocateReply. kInvalidArgument: not as many hashes as it says.
  model::Result<void> locate(const VerbCall& call);
  void forget(const Connection& connection) {
    if (parts_.sender != nullptr) parts_.sender->forget(&connection);
  }

 private:
  bool may_ask(const VerbCall& call, const cache::Root& root) const;

  Parts parts_;
};

}  // namespace quire::server
