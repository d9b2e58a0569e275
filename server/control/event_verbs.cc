#include "server/control/event_verbs.h"

#include <string>
#include <utility>

#include "server/control/pipe_reply.h"
#include "server/runtime/log.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;

Result<void> EventVerbs::events(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::EventsRequest>(call.payload));
  const uint32_t uid = call.connection.peer().uid;
  if (request.snapshot >= model::kEventSnapshots) {
    return make_error(Errc::kInvalidArgument, "snapshot must be 0 (never), 1 (after gaps) or 2");
  }
  if (sender_ == nullptr) {
    return make_error(Errc::kNotFound, "no events are kept; start with --event_memory");
  }
  // Its role was asked for by the action that it is; anything else is none.
  const bool everything = request.everything == 1;
  if (request.everything > 1) {
    return make_error(Errc::kInvalidArgument, "events are one's own (0) or everybody's (1)");
  }
  EventSubscriber subscriber{.owner = &call.connection, .uid = uid};
  if (!everything) subscriber.domain = call.connection.domain;
  subscriber.options.snapshot = static_cast<model::EventSnapshot>(request.snapshot);
  if (request.resume != 0) {
    subscriber.options.resume = EventResume{request.epoch, request.after_sequence};
  }
  PipeReply reply = QUIRE_TRY(PipeReply::create());
  subscriber.write_end = reply.take_writer();
  QUIRE_TRY(sender_->subscribe(std::move(subscriber)));
  // What everybody stores, as hashes that could be looked for: who listens to that is written down.
  if (everything) {
    log(LogKind::kEventsHeard, LogLevel::kWarning,
        "uid=" + std::to_string(uid) + " hears events of every domain");
  }
  // Last: it may end the connection, and with it the subscription.
  reply.send(call, model::struct_bytes(model::ReplyStatus{}));
  return {};
}

}  // namespace quire::server
