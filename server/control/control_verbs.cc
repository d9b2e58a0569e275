#include "server/control/control_verbs.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "model/socket_verbs.h"
#include "server/control/audit.h"
#include "server/runtime/log.h"
#include "server/sessions/peer_roles.h"

namespace quire::server {

namespace {

constexpr size_t kMaxLayoutsOfAConnection = 128;

}  // namespace

using model::Errc;
using model::FrameType;
using model::make_error;
using model::read_struct;
using model::struct_bytes;

namespace {

// Why objects of the layout are never durable; empty: they are.
std::string warning_of(const cache::KnownLayout& known, const tiering::TierSet* tiers) {
  if (tiers == nullptr) return {};
  uint64_t largest = tiering::object_bytes(known.span_plan);
  if (known.needs_checkpoint) {
    largest = std::max({largest, tiering::object_bytes(known.checkpoint_plan),
                        tiering::object_bytes(known.checkpoint_tail_plan)});
  }
  const uint64_t held = tiers->largest_object_bytes();
  return largest <= held ? std::string() : too_large_for_tiers(known.layout.name, largest, held);
}

}  // namespace

model::Result<ControlVerbs> ControlVerbs::create(Parts parts) {
  ControlVerbs verbs(std::move(parts));
  const Parts& its = verbs.parts_;
  verbs.sessions_ = QUIRE_TRY(SessionVerbs::create({.cache = its.cache,
                                                    .registry = its.registry,
                                                    .teller = its.teller,
                                                    .options = its.options,
                                                    .clock = its.clock,
                                                    .shares = its.shares,
                                                    .maker = its.maker,
                                                    .watch_doorbell = its.watch_doorbell,
                                                    .end_attachment = its.end_attachment}));
  if (its.config) verbs.config_ = QUIRE_TRY(ConfigVerbs::create(*its.config));
  const auto speaks_for = [sessions = verbs.sessions_.get()](uint32_t uid,
                                                             const std::string& tenant) {
    return sessions->speaks_for(uid, tenant);
  };
  verbs.locates_.emplace(LocateVerb::Parts{
      .cache = its.cache, .tiers = its.tiers, .clock = its.clock, .speaks_for = speaks_for});
  return verbs;
}

// One line a verb. That each row of the table has one, and nothing else, is checked when this is
// compiled.
const ControlVerbs::Handler& ControlVerbs::handler_of(FrameType type) {
  static constexpr std::array kHandlers{
      Handler{FrameType::kHello, [](auto& v, auto& c) { return v.hello(c); }},
      Handler{FrameType::kRegisterLayout, [](auto& v, auto& c) { return v.register_layout(c); }},
      Handler{FrameType::kOpenSession,
              [](auto& v, auto& c) { return v.sessions_->open_session(c); }},
      Handler{FrameType::kJoinSession,
              [](auto& v, auto& c) { return v.sessions_->join_session(c); }},
      Handler{FrameType::kCloseSession,
              [](auto& v, auto& c) { return v.sessions_->close_session(c); }},
      Handler{FrameType::kMapSegment, [](auto& v, auto& c) { return v.map_segment(c); }},
      Handler{FrameType::kUnmappedSegment, [](auto& v, auto& c) { return v.unmapped_segment(c); }},
      Handler{FrameType::kPing, [](auto& v, auto& c) { return v.ping(c); }},
      Handler{FrameType::kStatus, [](auto& v, auto& c) { return v.status(c); }},
      Handler{FrameType::kEvict, [](auto& v, auto& c) { return v.content_.evict(c); }},
      Handler{FrameType::kVerify, [](auto& v, auto& c) { return v.maintenance_.verify(c); }},
      Handler{FrameType::kScrub, [](auto& v, auto& c) { return v.maintenance_.scrub(c); }},
      Handler{FrameType::kKept, [](auto& v, auto& c) { return v.maintenance_.kept(c); }},
      Handler{FrameType::kPolicy, [](auto& v, auto& c) { return v.policies_.policy(c); }},
      Handler{FrameType::kQuota, [](auto& v, auto& c) { return v.quotas_.quota(c); }},
      Handler{FrameType::kFlush, [](auto& v, auto& c) { return v.content_.flush(c); }},
      Handler{FrameType::kPin, [](auto& v, auto& c) { return v.pins_.pin(c); }},
      Handler{FrameType::kMeter, [](auto& v, auto& c) { return v.meters_.meter(c); }},
      Handler{FrameType::kTrace, [](auto& v, auto& c) { return v.traces_.trace(c); }},
      Handler{FrameType::kConfig, [](auto& v, auto& c) { return v.config(c); }},
      Handler{FrameType::kEvents, [](auto& v, auto& c) { return v.events_.events(c); }},
      Handler{FrameType::kLocate, [](auto& v, auto& c) { return v.locates_->locate(c); }},
      Handler{FrameType::kWhy, [](auto& v, auto& c) { return v.why_.why(c); }},
      Handler{FrameType::kSessions, [](auto& v, auto& c) { return v.census_.sessions(c); }},
      Handler{FrameType::kTenants, [](auto& v, auto& c) { return v.census_.tenants(c); }},
      Handler{FrameType::kMakeStaging,
              [](auto& v, auto& c) { return v.sessions_->make_staging(c); }},
      Handler{FrameType::kHandOver, [](auto& v, auto& c) { return v.hand_over_.hand_over(c); }},
  };
  static_assert(std::equal(kHandlers.begin(), kHandlers.end(), model::kSocketVerbs.begin(),
                           model::kSocketVerbs.end(),
                           [](const Handler& handler, const model::SocketVerb& verb) {
                             return handler.type == verb.type;
                           }));
  return *std::find_if(kHandlers.begin(), kHandlers.end(),
                       [type](const Handler& handler) { return handler.type == type; });
}

model::Result<void> ControlVerbs::on_frame(Connection& connection, const model::FrameHeader& header,
                                           std::string_view payload) {
  // A type from the socket: only what is in the table has a handler.
  const auto type = static_cast<FrameType>(header.type);
  const model::SocketVerb* verb = model::find_verb(type);
  if (verb == nullptr) return make_error(Errc::kMalformedFrame, "unknown frame type");
  // Before the role: who the peer is, is known, but not yet whether it speaks this protocol.
  if (!connection.greeted && verb->role != model::VerbRole::kAnyone) {
    return make_error(Errc::kMalformedFrame, "the first frame must be a hello");
  }
  const model::VerbAction* action = model::find_action(verb->codec, payload);
  VerbChange change;
  const VerbCall call{.connection = connection,
                      .type = type,
                      .sequence = header.sequence,
                      .payload = payload,
                      .roles = roles_of(connection, parts_.options->roles),
                      .change = &change};
  const PeerIdentity peer = connection.peer();  // which a reply may end
  const auto allowed = model::authorise(*verb, action, call.roles);
  if (!allowed.ok()) audit_denied(peer, *verb, action, payload);
  const auto done = allowed.ok() ? handler_of(type).handle(*this, call) : allowed;
  if (done.ok() && action != nullptr && action->audited && !change.later) {
    audit_change(peer, *verb, action, payload, change);
  }
  // An acknowledgement has no reply that could carry an error: a wrong one ends the connection.
  if (done.ok() || !verb->replies) return done;
  connection.send_error(call.type, call.sequence, done.error());
  if (done.code() == Errc::kMalformedFrame || call.type == FrameType::kHello) return done;
  return {};
}

model::Result<void> ControlVerbs::hello(const VerbCall& call) {
  Connection& connection = call.connection;
  const auto request = QUIRE_TRY(read_struct<model::HelloRequest>(call.payload));
  if (connection.greeted) return make_error(Errc::kMalformedFrame, "a second hello");
  if (request.min_version > model::kProtocolVersion ||
      request.max_version < model::kProtocolVersion) {
    return make_error(Errc::kUnsupportedVersion, model::version_refusal(request.max_version));
  }
  if (!peer_uids_.is_one_user(connection.peer().uid)) {
    return make_error(Errc::kPermissionDenied,
                      "uid " + std::to_string(connection.peer().uid) +
                          " stands for every user that the daemon's user namespace does not map; "
                          "map this one (newuidmap), or run quired outside the namespace");
  }
  connection.client_name = QUIRE_TRY(clean_name(request.client_name, "client_name"));
  // The domain follows from who the peer is, never from what it says.
  const std::string domain = "uid:" + std::to_string(connection.peer().uid);
  connection.domain = QUIRE_TRY(parts_.cache->add_domain(domain));
  // From here on the domain's id is not given to another uid; forget() lets go of it.
  parts_.cache->names().hold_domain(connection.domain);
  connection.greeted = true;

  const SegmentShare::Told told = parts_.segments->tell_all(connection);
  model::HelloReply reply;
  reply.version = model::kProtocolVersion;
  reply.segment_count = static_cast<uint32_t>(told.infos.size());
  reply.daemon_epoch = parts_.daemon_epoch;
  reply.domain = QUIRE_TRY(model::to_wire_name(domain));
  std::string bytes(struct_bytes(reply));
  for (const model::SegmentInfo& info : told.infos) bytes.append(struct_bytes(info));
  call.reply(bytes, told.descriptors);
  return {};
}

model::Result<void> ControlVerbs::register_layout(const VerbCall& call) {
  Connection& connection = call.connection;
  model::Layout layout = QUIRE_TRY(
      model::decode_layout(std::as_bytes(std::span(call.payload.data(), call.payload.size()))));
  for (const model::Group& group : layout.groups) {
    if (group.page_bytes > parts_.options->segment_bytes) {
      return make_error(Errc::kInvalidLayout,
                        "group " + group.name + ": a page is larger than --segment_bytes");
    }
  }
  const uint32_t uid = connection.peer().uid;
  if (connection.layouts.size() >= kMaxLayoutsOfAConnection) {
    return make_error(Errc::kBusy, "this connection has registered 128 layouts; use another one");
  }
  QUIRE_TRY(parts_.shares->check(uid, Shared::kLayouts, 1));
  model::RegisterLayoutReply reply;
  // A warning is logged once a layout, however often clients register it.
  const size_t known_before = parts_.cache->layouts().size();
  const model::LayoutId id = QUIRE_TRY(parts_.cache->layouts().add(std::move(layout)));
  // Held once a connection, whatever it repeats: its end releases each once.
  if (connection.layouts.insert(id.value).second) {
    parts_.cache->layouts().hold(id);
    parts_.shares->take(uid, Shared::kLayouts, 1);
  }
  reply.layout = id.value;
  const cache::KnownLayout& known = *parts_.cache->layouts().find(id);
  reply.digest = known.digest;
  if (const std::string warning = warning_of(known, parts_.tiers); !warning.empty()) {
    reply.status = model::make_status(Errc::kOk, warning);
    if (parts_.cache->layouts().size() > known_before) log(LogLevel::kWarning, warning);
  }
  call.reply(struct_bytes(reply));
  return {};
}

model::Result<void> ControlVerbs::map_segment(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::MapSegmentRequest>(call.payload));
  const SegmentShare::Told told =
      QUIRE_TRY(parts_.segments->tell(call.connection, model::SegmentId{request.segment}));
  model::MapSegmentReply reply;
  reply.info = told.infos.front();
  call.reply(struct_bytes(reply), told.descriptors);
  return {};
}

model::Result<void> ControlVerbs::unmapped_segment(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::MapSegmentRequest>(call.payload));
  parts_.segments->acknowledged(call.connection, model::SegmentId{request.segment});
  return {};
}

model::Result<void> ControlVerbs::ping(const VerbCall& call) {
  call.reply(struct_bytes(model::ReplyStatus{}));
  return {};
}

model::Result<void> ControlVerbs::status(const VerbCall& call) {
  model::StatusRequest request;
  if (!call.payload.empty()) request = QUIRE_TRY(read_struct<model::StatusRequest>(call.payload));
  if (request.format >= model::kStatusFormats) {
    return make_error(Errc::kInvalidArgument, "format must be 0 (JSON) or 1 (Prometheus)");
  }
  parts_.desk->ask(call.connection, call.sequence, static_cast<model::StatusFormat>(request.format),
                   call.roles.has(model::VerbRole::kReader));
  return {};
}

model::Result<void> ControlVerbs::config(const VerbCall& call) {
  if (config_ != nullptr) return config_->config(call);
  return make_error(Errc::kNotFound, "this daemon was not started from flags");
}

void ControlVerbs::forget(Connection& connection) {
  if (config_ != nullptr) config_->forget(connection);
  parts_.desk->forget(connection);
  traces_.forget(connection);
  events_.forget(connection);
  locates_->forget(connection);
  hand_over_.forget(connection);
  sessions_->forget(connection);
  for (const uint32_t layout : connection.layouts) {
    parts_.cache->layouts().release(model::LayoutId{layout});
  }
  if (!connection.layouts.empty()) {
    parts_.shares->give_back(connection.peer().uid, Shared::kLayouts, connection.layouts.size());
  }
  connection.layouts.clear();
  if (connection.greeted) parts_.cache->names().release_domain(connection.domain);
}

}  // namespace quire::server
