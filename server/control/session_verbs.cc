#include "server/control/session_verbs.h"

#include <algorithm>
#include <utility>

#include "model/clean_text.h"

namespace quire::server {

using model::Errc;
using model::FrameType;
using model::make_error;
using model::read_struct;
using model::struct_bytes;

namespace {

// How often it is looked whether somebody who waits can be admitted: reservations end by sockets,
// which take longer.
constexpr int64_t kLookNs = 1'000'000;

model::OpenSessionReply queued_reply(const AdmissionAnswer& answer) {
  model::OpenSessionReply reply;
  reply.ticket = answer.ticket;
  reply.position = answer.place.position;
  reply.estimate_known = answer.place.estimate_ms ? 1 : 0;
  reply.estimate_ms = answer.place.estimate_ms.value_or(0);
  return reply;
}

model::Result<SessionBilling> billing_of(const model::OpenSessionRequest& request) {
  SessionBilling billing;
  billing.conversation = request.conversation;
  billing.model = QUIRE_TRY(clean_name(request.model, "model"));
  billing.service_tier = QUIRE_TRY(clean_name(request.service_tier, "service_tier"));
  billing.retention = QUIRE_TRY(clean_name(request.retention, "retention"));
  if (billing.retention.size() > model::kMaxRetentionBytes) {
    return make_error(Errc::kInvalidArgument, "retention: a class's name has at most " +
                                                  std::to_string(model::kMaxRetentionBytes) +
                                                  " bytes, as \"5m\" has");
  }
  billing.is_explicit = request.explicit_caching != 0;
  return billing;
}

model::Result<void> check_role(uint8_t role) {
  if (role <= static_cast<uint8_t>(model::SessionRole::kDecode)) return {};
  return make_error(Errc::kInvalidArgument, "role must be 0 (both), 1 (prefill) or 2 (decode)");
}

// A bound below a block would let nothing be handed over.
model::Result<void> check_handover(cache::Cache& cache, const model::OpenSessionRequest& request) {
  QUIRE_TRY(check_role(request.role));
  const model::Layout& layout = cache.layouts().find(model::LayoutId{request.layout})->layout;
  if (request.ahead_tokens == 0 || request.ahead_tokens >= layout.block_tokens) return {};
  return make_error(Errc::kInvalidArgument, "ahead_tokens is less than a block of the layout, " +
                                                std::to_string(layout.block_tokens) +
                                                " tokens: nothing could be committed");
}

}  // namespace

model::Result<std::string> clean_name(const model::WireName& name, std::string_view what) {
  const std::string_view text = QUIRE_TRY(model::from_wire_name(name));
  QUIRE_TRY(model::check_clean_text(text, what));
  return std::string(text);
}

model::Result<std::unique_ptr<SessionVerbs>> SessionVerbs::create(Parts parts) {
  std::unique_ptr<SessionVerbs> verbs(new SessionVerbs(std::move(parts)));
  verbs->tenants_ = QUIRE_TRY(TenantRules::parse(verbs->parts_.options->tenants));
  for (std::string& name : split_names(verbs->parts_.options->shared_namespaces, ',')) {
    verbs->shared_namespaces_.insert(std::move(name));
  }
  return verbs;
}

model::Result<SessionIdentity> SessionVerbs::identify(
    const Connection& connection, const model::OpenSessionRequest& request) const {
  SessionIdentity identity;
  identity.domain = connection.domain;
  identity.root.domain = connection.domain;
  identity.root.tenant = QUIRE_TRY(clean_name(request.tenant, "tenant"));
  identity.root.namespace_name = QUIRE_TRY(clean_name(request.namespace_name, "namespace"));
  identity.root.weights_epoch = request.weights_epoch;
  identity.root.layout = model::LayoutId{request.layout};
  identity.root.salt = QUIRE_TRY(model::from_wire_name(request.salt));
  if (!tenants_.allows(connection.peer().uid, identity.root.tenant)) {
    return make_error(Errc::kPermissionDenied, "uid " + std::to_string(connection.peer().uid) +
                                                   " may not speak for tenant " +
                                                   identity.root.tenant + "; see --tenants");
  }
  // Before the root's tenant is cleared: in a shared namespace hits are everybody's, and the bill
  // is not.
  identity.billing = QUIRE_TRY(billing_of(request));
  identity.billing.payer = identity.root.tenant;
  if (shared_namespaces_.contains(identity.root.namespace_name)) identity.root.tenant.clear();
  return identity;
}

// A reservation, a place in the queue, or nothing where nothing is wanted.
model::Result<AdmissionAnswer> SessionVerbs::admit(const Connection& connection,
                                                   const model::OpenSessionRequest& request,
                                                   const std::string& payer) {
  if (request.ticket != 0) return queue_.ask_again(connection, request.ticket, payer);
  if (request.reserve_bytes == 0) return AdmissionAnswer{};
  return queue_.ask(
      connection,
      {.payer = payer, .bytes = request.reserve_bytes, .wait_ms = request.admission_wait_ms});
}

model::Result<void> SessionVerbs::open_session(const VerbCall& call) {
  Connection& connection = call.connection;
  const auto request = QUIRE_TRY(read_struct<model::OpenSessionRequest>(call.payload));
  if (request.give_up != 0) {
    queue_.leave(connection, request.ticket);
    call.reply(struct_bytes(model::OpenSessionReply{}));
    return {};
  }
  const SessionIdentity identity = QUIRE_TRY(identify(connection, request));
  // Its own registration, not anybody's: a layout that the connection does not hold may be
  // forgotten.
  if (!connection.layouts.contains(request.layout)) {
    return make_error(Errc::kUnknownLayout, "register the layout first");
  }
  if (request.load_class > static_cast<uint8_t>(model::LoadClass::kBatch)) {
    return make_error(Errc::kInvalidArgument, "load_class must be 0 (interactive) or 1 (batch)");
  }
  QUIRE_TRY(check_handover(*parts_.cache, request));
  AdmissionAnswer answer = QUIRE_TRY(admit(connection, request, identity.billing.payer));
  if (answer.ticket == 0 || answer.reservation.valid()) {
    return open_now(call, request, identity, std::move(answer));
  }
  call.reply(struct_bytes(queued_reply(answer)));
  return {};
}

// Others of the domain may have been refused what it was promised.
model::Error SessionVerbs::refused(const Connection& connection, bool reserved, model::Error why) {
  if (reserved) parts_.cache->store().pool().events().raise(connection.domain);
  return why;
}

// What is reserved goes with the session, or here, when it cannot be opened.
model::Result<void> SessionVerbs::open_now(const VerbCall& call,
                                           const model::OpenSessionRequest& request,
                                           const SessionIdentity& identity,
                                           AdmissionAnswer admitted) {
  Connection& connection = call.connection;
  const AttachWith with{.shape = {.ring_entries = request.ring_entries,
                                  .max_units = request.max_units,
                                  .max_load_pages = request.max_load_pages},
                        .staging = request.staging,
                        .lane = request.lane,
                        .role = static_cast<model::SessionRole>(request.role)};
  const bool reserves = admitted.reservation.valid();
  auto opened = parts_.registry->open(connection, identity, with, std::move(admitted.reservation));
  if (!opened.ok()) return refused(connection, reserves, std::move(opened).error());
  cache::CacheSession& session = (*opened)->session().cached;
  session.batch_class = request.load_class == static_cast<uint8_t>(model::LoadClass::kBatch);
  session.learns_tail = request.tail_tokens == model::kLearntTail;
  (*opened)->session().set_tail(session.learns_tail
                                    ? parts_.cache->tails().learnt(session.tail_namespace)
                                    : request.tail_tokens);
  (*opened)->session().offer_tokens = request.offer_tokens;
  (*opened)->session().handover.bound(request.ahead_tokens, (*opened)->session().progress_header());
  parts_.teller->tell((*opened)->session());
  return make_memory(connection, **opened, FrameType::kOpenSession, call.sequence);
}

void SessionVerbs::look_at_queue() {
  const int64_t now = parts_.clock->now_ns();
  if (queue_.count() == 0 || now - looked_ns_ < kLookNs) return;
  looked_ns_ = now;
  queue_.step();
}

model::Result<void> SessionVerbs::join_session(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::JoinSessionRequest>(call.payload));
  QUIRE_TRY(check_role(request.role));
  AdmissionAnswer admitted;
  if (request.reserve_bytes != 0) {
    const Session& session = *QUIRE_TRY(parts_.registry->find(call.connection, request.token));
    // The session is there already, and others may wait for this one: it is had now or not.
    admitted = QUIRE_TRY(
        queue_.ask(call.connection,
                   {.payer = session.billing.payer, .bytes = request.reserve_bytes, .wait_ms = 0}));
  }
  const bool reserves = admitted.reservation.valid();
  auto joined = parts_.registry->join(call.connection, request, std::move(admitted.reservation));
  if (!joined.ok()) return refused(call.connection, reserves, std::move(joined).error());
  return make_memory(call.connection, **joined, FrameType::kJoinSession, call.sequence);
}

// The client hears of the session once all that the daemon writes in it is there: of a lane that it
// kept, or that has a place beside others, at once.
model::Result<void> SessionVerbs::make_memory(Connection& connection, Attachment& attachment,
                                              FrameType type, uint32_t sequence) {
  LaneMemory& memory = attachment.lane().memory();
  model::FdGuard unallocated = memory.take_unallocated();
  if (!unallocated.valid()) return reply_with_session(connection, sequence, type, attachment);
  openings_[attachment.id] = {&connection, &attachment, type, sequence};
  // Its later frames wait for this answer: one opening a connection, so the table is bounded.
  connection.suspend();
  parts_.maker->make(std::move(unallocated), memory.unallocated_bytes(), connection.peer().uid,
                     attachment.id);
  return {};
}

size_t SessionVerbs::finish_openings() {
  look_at_queue();
  size_t count = 0;
  parts_.maker->collect([&](uint64_t attachment, bool made) {
    finish_opening(attachment, made);
    ++count;
  });
  return count;
}

void SessionVerbs::finish_opening(uint64_t attachment, bool made) {
  const auto found = openings_.find(attachment);
  if (found == openings_.end()) return;  // its client left meanwhile
  const Opening opening = found->second;
  openings_.erase(found);
  Connection& connection = *opening.connection;
  connection.resume();
  model::Result<void> done;
  if (made) {
    done = reply_with_session(connection, opening.sequence, opening.type, *opening.attachment);
  } else {
    parts_.end_attachment(*opening.attachment);
    done = make_error(Errc::kResourceExhausted, "no memory for a session's shared region");
  }
  if (!done.ok()) connection.send_error(opening.type, opening.sequence, done.error());
}

model::Result<void> SessionVerbs::reply_with_session(Connection& connection, uint32_t sequence,
                                                     FrameType type, Attachment& attachment) {
  // Before the descriptors go out: the client may ring at once.
  if (auto watched = parts_.watch_doorbell(attachment); !watched.ok()) {
    parts_.end_attachment(attachment);
    return watched;
  }
  const Session& session = attachment.session();
  Lane& lane = attachment.lane();
  const LaneShape& shape = lane.shape();
  model::OpenSessionReply reply;
  reply.session = attachment.id;
  reply.token = session.token;
  reply.root = parts_.cache->names().root(session.cached.root).hash;
  reply.ring_entries = shape.ring_entries;
  reply.max_units = shape.max_units;
  reply.max_load_pages = shape.max_load_pages;
  reply.layout = session.layout.value;
  reply.control_offset = lane.control_offset();
  reply.control_bytes = shape.control().bytes;
  reply.reply_offset = lane.reply_offset();
  reply.reply_bytes = shape.reply().bytes;
  reply.lane = lane.id();
  const int progress = session.progress.client_fd();
  const auto all = lane.client_descriptors(progress);
  std::span<const int> descriptors = all;
  auto state = model::SessionLane::kNew;
  if (attachment.progress_known) {
    state = model::SessionLane::kKnownWhole;
    descriptors = {};
  } else if (lane.is_known()) {
    state = model::SessionLane::kKnown;
    descriptors = {&progress, 1};
  }
  reply.lane_state = static_cast<uint32_t>(state);
  connection.send(type, true, sequence, struct_bytes(reply), descriptors);
  // Sending may end the connection, and the attachment with it.
  if (!connection.ended()) lane.close_client_descriptors();
  return {};
}

model::Result<void> SessionVerbs::close_session(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::CloseSessionRequest>(call.payload));
  const auto& attachments = call.connection.attachments;
  const auto found =
      std::find_if(attachments.begin(), attachments.end(),
                   [&](Attachment* attachment) { return attachment->id == request.session; });
  if (found == attachments.end()) {
    return make_error(Errc::kNotFound, "this connection has no such session");
  }
  // The word of its last process counts.
  Session& session = (*found)->session();
  session.closed_by_client = session.member_count == 1;
  const uint64_t lane = (*found)->lane().id();
  (*found)->keeps_lane = request.keep_lane != 0;
  (*found)->said_goodbye = true;
  parts_.end_attachment(**found);
  const auto& spare = call.connection.spare_lanes;
  model::CloseSessionReply reply;
  reply.lane_kept = std::any_of(spare.begin(), spare.end(),
                                [lane](const auto& kept) { return kept->id() == lane; });
  call.reply(struct_bytes(reply));
  return {};
}

model::Result<void> SessionVerbs::make_staging(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::MakeStagingRequest>(call.payload));
  Connection& connection = call.connection;
  StagingArea* area = QUIRE_TRY(parts_.registry->areas().make(connection, request.bytes));
  model::MakeStagingReply reply;
  reply.staging = area->id;
  const int descriptor = area->region.client_fd();
  connection.send(call.type, true, call.sequence, struct_bytes(reply), {&descriptor, 1});
  // Sending may end the connection; its areas go later.
  area->region.close_fd();
  return {};
}

void SessionVerbs::forget(Connection& connection) {
  queue_.forget(connection);
  std::erase_if(openings_, [&](const auto& opening) {
    if (opening.second.connection != &connection) return false;
    // What has its turn already is made in vain: finish_opening() finds nobody.
    parts_.maker->forget(opening.first);
    return true;
  });
}

}  // namespace quire::server
