#include "server/control/event_verbs.h"

#include <cstring>
#include <vector>

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
  if (parts_.sender == nullptr) {
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
  QUIRE_TRY(parts_.sender->subscribe(std::move(subscriber)));
  // What everybody stores, as hashes that could be looked for: who listens to that is written down.
  if (everything) {
    log(LogKind::kEventsHeard, LogLevel::kWarning,
        "uid=" + std::to_string(uid) + " hears events of every domain");
  }
  // Last: it may end the connection, and with it the subscription.
  reply.send(call, model::struct_bytes(model::ReplyStatus{}));
  return {};
}

bool EventVerbs::may_ask(const VerbCall& call, const cache::Root& root) const {
  const Connection& connection = call.connection;
  if (call.roles.has(model::VerbRole::kReader)) return true;
  // A shared namespace has no tenant.
  return root.key.domain == connection.domain &&
         (root.key.tenant.empty() || parts_.speaks_for(connection.peer().uid, root.key.tenant));
}

Result<void> EventVerbs::locate(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::LocateRequest>(call.payload));
  const std::string_view hashes = call.payload.substr(sizeof(request));
  if (request.unit_count == 0 || hashes.size() != request.unit_count * sizeof(model::Hash256)) {
    return make_error(Errc::kInvalidArgument, "as many chain hashes as units must be given");
  }
  model::LocateReply reply;
  const auto id = parts_.cache->names().find_root(request.root);
  if (id && may_ask(call, parts_.cache->names().root(*id))) {
    std::vector<model::Hash256> chain(request.unit_count);  // the payload lies anywhere
    std::memcpy(chain.data(), hashes.data(), hashes.size());
    const auto found =
        QUIRE_TRY(parts_.cache->reader().locate(*id, {chain.data(), request.unit_count}));
    reply.root_known = 1;
    reply.span_tokens = found.span_tokens;
    reply.exact_tokens = found.exact_tokens;
    reply.load_estimate_us = found.load_estimate_us;
    reply.tier_tokens = found.tokens.of;
  }
  call.reply(model::struct_bytes(reply));
  return {};
}

}  // namespace quire::server
