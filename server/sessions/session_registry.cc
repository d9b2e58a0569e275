#include "server/sessions/session_registry.h"

#include <sys/random.h>

#include <algorithm>
#include <functional>
#include <new>
#include <utility>

namespace quire::server {

using model::Errc;
using model::errno_error;
using model::make_error;

namespace {

// Nodes unpinned and fills looked at for ended attachments in one step: 50 us.
constexpr uint32_t kEndedPerStep = 1024;
constexpr uint32_t kStepsOfAnEnd = 64;  // whatever the session held: its records, its descriptors

// Progress of a session, both doorbells of a lane; what is sent to the client closes soon.
constexpr uint32_t kDescriptorsOfAProgress = 1;
constexpr uint32_t kDescriptorsOfALane = 2;
constexpr uint64_t kDescriptorsWhileOpening = 8;

std::vector<std::unique_ptr<Lane>>::iterator find_lane(ClientProcess& client,
                                                       const AttachWith& with) {
  return std::find_if(client.spare_lanes.begin(), client.spare_lanes.end(), [&](const auto& lane) {
    return lane->id() == with.lane && lane->shape() == with.shape;
  });
}

// Of a client's memory for lanes the newest is looked at, so that an open costs the same however
// many there are. A place in what is older stays empty until its last lane goes.
constexpr size_t kMemoryLooks = 64;

struct FoundMemory {
  std::shared_ptr<LaneMemory> with_place;  // null: none that was looked at has one for this shape
  uint32_t lanes = 0;                      // of this shape, in these
};

FoundMemory find_memory(const ClientProcess& client, const LaneShape& shape) {
  FoundMemory found;
  const auto& all = client.lane_memory;
  for (size_t i = 0; i < std::min(all.size(), kMemoryLooks); ++i) {
    std::shared_ptr<LaneMemory> one = all[all.size() - 1 - i].lock();
    if (one == nullptr || one->shape() != shape) continue;
    if (one->has_place()) return {std::move(one)};
    found.lanes += one->lane_count();
  }
  return found;
}

// Those that went are taken out when the list would grow, and it has room for as many again then.
void note_memory(ClientProcess& client, const std::shared_ptr<LaneMemory>& memory) {
  auto& all = client.lane_memory;
  if (all.size() == all.capacity()) {
    std::erase_if(all, [](const auto& one) { return one.expired(); });
    all.reserve(2 * all.size() + 1);
  }
  all.push_back(memory);
}

uint32_t descriptors_of(const Lane& lane) {
  return kDescriptorsOfALane + (lane.progress.valid() ? kDescriptorsOfAProgress : 0);
}

std::string token_key(const std::array<uint8_t, 16>& token) {
  return {reinterpret_cast<const char*>(token.data()), token.size()};
}

}  // namespace

model::Result<void> SessionRegistry::check_bounds(ClientProcess& client, const AttachWith& with) {
  QUIRE_TRY(with.shape.check());
  if (client.attachments.size() >= options_.max_sessions_per_connection) {
    return make_error(Errc::kBusy, "too many sessions on one connection; close some");
  }
  if (find_lane(client, with) != client.spare_lanes.end()) return {};  // charged already
  const uint32_t uid = client.uid();
  auto fits = options_.shares->check(uid, Shared::kDescriptors, kDescriptorsWhileOpening);
  if (fits.ok() && find_memory(client, with.shape).with_place == nullptr) {
    fits = options_.shares->check(uid, Shared::kSessionBytes, with.shape.total_bytes());
  }
  // What it keeps for sessions of other shapes must not stand in its own way for ever.
  if (!fits.ok()) close_spare_lanes(client);
  return fits;
}

model::Result<std::unique_ptr<Session>> SessionRegistry::make_session(
    const ClientProcess& client, const SessionIdentity& identity, uint32_t max_units) {
  auto session = std::make_unique<Session>();
  session->id = model::SessionId{next_session_++};
  session->domain = identity.domain;
  session->layout = identity.root.layout;
  session->max_units = max_units;
  session->uid = client.uid();
  session->tenant = identity.root.tenant;
  session->namespace_name = identity.root.namespace_name;
  session->billing = identity.billing;
  if (::getrandom(session->token.data(), session->token.size(), 0) !=
      static_cast<ssize_t>(session->token.size())) {
    return errno_error("getrandom");
  }
  return session;
}

model::Result<Attachment*> SessionRegistry::open(ClientProcess& client,
                                                 const SessionIdentity& identity,
                                                 const AttachWith& with,
                                                 cache::Reservation reservation) {
  QUIRE_TRY(check_bounds(client, with));
  const uint32_t uid = client.uid();
  QUIRE_TRY(options_.shares->check(uid, Shared::kSessions, 1));
  auto session = QUIRE_TRY(make_session(client, identity, with.shape.max_units));
  // From here on the root is held: what fails later goes through maybe_close().
  QUIRE_TRY(cache_->open_session(identity.root, conversation_tag(*session), session->cached));
  cache_->set_payer(session->cached, identity.billing.payer);
  cache_->set_reservation(session->cached, std::move(reservation));
  options_.shares->take(uid, Shared::kSessions, 1);
  Session& placed = *session;
  placed.turn = TurnMeter::first_turn(*cache_->layouts().find(placed.layout));
  sessions_.emplace(placed.id.value, std::move(session));
  by_token_.emplace(token_key(placed.token), &placed);
  ++by_payer_[placed.cached.payer.value];
  auto kept = cache_->set_retention(placed.cached, identity.billing.retention);
  auto attached = kept.ok() ? attach(client, placed, with) : std::move(kept).error();
  if (!attached.ok()) maybe_close(placed, nullptr);
  return attached;
}

model::Result<Session*> SessionRegistry::find(const ClientProcess& client,
                                              const std::array<uint8_t, 16>& token) const {
  const auto found = by_token_.find(token_key(token));
  // One answer for both: a token of another domain must not be told from one that does not exist
  // (law 13).
  if (found == by_token_.end() || found->second->domain != client.domain) {
    return make_error(Errc::kNotFound, "no session with this token");
  }
  return found->second;
}

model::Result<Attachment*> SessionRegistry::join(ClientProcess& client,
                                                 const model::JoinSessionRequest& request,
                                                 cache::Reservation reservation) {
  Session& session = *QUIRE_TRY(find(client, request.token));
  const AttachWith with{.shape = {.ring_entries = request.ring_entries,
                                  .max_units = session.max_units,
                                  .max_load_pages = request.max_load_pages},
                        .staging = request.staging,
                        .lane = request.lane,
                        .role = static_cast<model::SessionRole>(request.role)};
  QUIRE_TRY(check_bounds(client, with));
  Attachment* joined = QUIRE_TRY(attach(client, session, with));
  if (reservation.valid()) {
    joined->reservation = std::move(reservation);
    joined->leases.reservation = joined->reservation.ref();
  }
  return joined;
}

model::Result<Attachment*> SessionRegistry::attach(ClientProcess& client, Session& session,
                                                   const AttachWith& with) {
  StagingArea* staging = QUIRE_TRY(areas_.find(client, with.staging));
  auto lane = QUIRE_TRY(take_lane(client, with));
  const auto known = give_progress(session, *lane);
  if (!known.ok()) {
    close_lane(std::move(lane));
    return known.error();
  }
  auto attachment = std::make_unique<Attachment>(&session, &client, std::move(lane), staging);
  Attachment* placed = attachment.get();
  placed->id = next_attachment_++;
  placed->progress_known = *known;
  owned_.emplace(placed, std::move(attachment));
  // Each knows its place, so that an end among thousands costs no search.
  placed->place = order_.size();
  order_.push_back(placed);
  client.attachments.push_back(placed);
  areas_.join(staging);
  placed->leases.share = options_.shares->holders(session.uid);
  placed->leases.reservation = session.cached.reservation.ref();
  placed->role = with.role;
  ++session.member_count;
  session.closed_by_client = false;
  session.handover.joined(*placed, session.progress_header());
  session.progress_header().members.store(session.member_count, std::memory_order_release);
  return placed;
}

model::Result<std::unique_ptr<Lane>> SessionRegistry::take_lane(ClientProcess& client,
                                                                const AttachWith& with) {
  if (const auto spare = find_lane(client, with); spare != client.spare_lanes.end()) {
    std::unique_ptr<Lane> lane = std::move(*spare);
    client.spare_lanes.erase(spare);
    spare_bytes_ -= lane->shape().total_bytes();
    spare_descriptors_ -= descriptors_of(*lane);
    return lane;
  }
  auto memory = QUIRE_TRY(lane_memory(client, with.shape));
  auto lane = Lane::create(next_lane_++, memory);
  if (!lane.ok()) {
    close_memory(std::move(memory));
    return lane;
  }
  options_.shares->take(client.uid(), Shared::kDescriptors, kDescriptorsOfALane);
  return lane;
}

model::Result<std::shared_ptr<LaneMemory>> SessionRegistry::lane_memory(ClientProcess& client,
                                                                        const LaneShape& shape) {
  FoundMemory found = find_memory(client, shape);
  if (found.with_place != nullptr) return std::move(found.with_place);
  uint32_t lanes = LaneMemory::lanes_beside(found.lanes, shape);
  const uint32_t uid = client.uid();
  // What nobody asked for yet stands in nobody's way.
  if (options_.shares->is_scarce(Shared::kSessionBytes) ||
      !options_.shares->check(uid, Shared::kSessionBytes, lanes * shape.total_bytes()).ok()) {
    lanes = 1;
  }
  std::shared_ptr<LaneMemory> memory = QUIRE_TRY(LaneMemory::create(uid, shape, lanes));
  options_.shares->take(uid, Shared::kSessionBytes, memory->bytes());
  options_.shares->take(uid, Shared::kDescriptors, memory->descriptor_count());
  note_memory(client, memory);
  return memory;
}

model::Result<bool> SessionRegistry::give_progress(Session& session, Lane& lane) {
  if (session.progress.valid()) {
    // It was opened by another process; this one maps that progress over its own.
    close_progress(lane.progress, lane.uid());
    return false;
  }
  const bool known = lane.progress.valid();
  if (known) {
    session.progress = std::move(lane.progress);
  } else {
    session.progress =
        QUIRE_TRY(SharedRegion::create(model::kProgressBytes, ClientAccess::kReadOnly));
    options_.shares->take(lane.uid(), Shared::kDescriptors, kDescriptorsOfAProgress);
  }
  session.progress_lane = lane.id();
  auto* header = new (session.progress.data()) model::ProgressHeader{};
  header->layer_count.store(
      std::min(cache_->layouts().find(session.layout)->layer_count, model::kProgressLayers));
  return known;
}

void SessionRegistry::end(Attachment& attachment, uint32_t& budget) {
  budget -= std::min(budget, kStepsOfAnEnd);
  Session& session = attachment.session();
  // First: nothing completes to it from here on, and its pending requests go.
  dispatcher_->end(attachment);
  attachment.lane().mark_closed();
  --session.member_count;
  session.handover.left(attachment, attachment.said_goodbye, session.progress_header());
  // Other ranks see that one is gone, and need not wait for its groups.
  session.progress_header().members.store(session.member_count, std::memory_order_release);
  order_[attachment.place] = order_.back();
  order_[attachment.place]->place = attachment.place;
  order_.pop_back();
  // The last one first: that is how a connection's end goes through them.
  std::vector<Attachment*>& siblings = attachment.client().attachments;
  siblings.erase(std::find(siblings.rbegin(), siblings.rend(), &attachment).base() - 1);
  // Copy workers may still read its staging, or leases are many: it drains in sweep().
  if (!dispatcher_->step_end(attachment, budget)) {
    attachment.keeps_lane = false;
    ++session.draining_count;
    draining_.push_back(&attachment);
    return;
  }
  finish(attachment);
}

void SessionRegistry::finish(Attachment& attachment) {
  Session& session = attachment.session();
  // Of what drains the client may be gone; what keeps its lane does not drain.
  ClientProcess* keeper = attachment.keeps_lane ? &attachment.client() : nullptr;
  if (keeper != nullptr && !may_keep(*keeper)) keeper = nullptr;
  areas_.leave(attachment.staging());
  if (attachment.reservation.valid()) {
    attachment.reservation = {};
    // Others of the domain may wait for what it was promised.
    cache_->store().pool().events().raise(session.domain);
  }
  std::unique_ptr<Lane> lane = attachment.take_lane();
  owned_.erase(&attachment);
  maybe_close(session, lane.get());
  if (keeper == nullptr) return close_lane(std::move(lane));
  lane->reset();
  spare_bytes_ += lane->shape().total_bytes();
  spare_descriptors_ += descriptors_of(*lane);
  keeper->spare_lanes.push_back(std::move(lane));
}

// Nobody who has no session yet may wait for what others only keep.
bool SessionRegistry::may_keep(const ClientProcess& client) const {
  return client.spare_lanes.size() < kMaxSpareLanes &&
         !options_.shares->is_scarce(Shared::kDescriptors) &&
         !options_.shares->is_scarce(Shared::kSessionBytes);
}

// The charge travels with the memory: it is given back when the close is done, not when it was
// asked for.
void SessionRegistry::close_lane(std::unique_ptr<Lane> lane) {
  const Charge charge{.uid = lane->uid(), .descriptors = descriptors_of(*lane)};
  options_.closer->close(lane->take_remains(), charge);
  close_memory(lane->take_memory());
}

void SessionRegistry::close_memory(std::shared_ptr<LaneMemory> memory) {
  if (memory.use_count() > 1) return;
  const Charge charge{.uid = memory->uid(),
                      .descriptors = memory->descriptor_count(),
                      .session_bytes = memory->bytes()};
  options_.closer->close(memory->take_remains(), charge);
}

void SessionRegistry::close_spare_lanes(ClientProcess& client) {
  for (std::unique_ptr<Lane>& lane : client.spare_lanes) {
    spare_bytes_ -= lane->shape().total_bytes();
    spare_descriptors_ -= descriptors_of(*lane);
    close_lane(std::move(lane));
  }
  client.spare_lanes.clear();
}

void SessionRegistry::forget(ClientProcess& client) {
  close_spare_lanes(client);
  areas_.forget(client);
}

void SessionRegistry::close_progress(SharedRegion& progress, uint32_t uid) {
  if (!progress.valid()) return;
  Remains remains;
  remains.descriptors[0] = progress.take_fd();
  remains.mappings[0] = progress.take_mapping();
  options_.closer->close(std::move(remains), {.uid = uid, .descriptors = kDescriptorsOfAProgress});
}

void SessionRegistry::maybe_close(Session& session, Lane* lane) {
  if (session.member_count > 0 || session.draining_count > 0) return;
  dispatcher_->end_session(session);
  const auto paid = by_payer_.find(session.cached.payer.value);
  if (--paid->second == 0) by_payer_.erase(paid);
  cache_->close_session(session.cached);
  if (lane != nullptr && lane->id() == session.progress_lane) {
    lane->progress = std::move(session.progress);
  } else {
    close_progress(session.progress, session.uid);
  }
  options_.shares->give_back(session.uid, Shared::kSessions, 1);
  by_token_.erase(token_key(session.token));
  sessions_.erase(session.id.value);
}

bool SessionRegistry::sweep() {
  uint32_t budget = kEndedPerStep;
  // From the end, so that taking one out moves none that is still to be looked at.
  for (size_t i = draining_.size(); i > 0 && budget > 0; --i) {
    Attachment* attachment = draining_[i - 1];
    if (!dispatcher_->step_end(*attachment, budget)) continue;
    draining_.erase(draining_.begin() + static_cast<ptrdiff_t>(i - 1));
    --attachment->session().draining_count;
    finish(*attachment);
  }
  return budget == 0;
}

void SessionRegistry::describe(model::MetricSink& sink) const {
  sink.gauge("sessions", session_count(), "Sessions open", {model::MetricFamily::kSessions});
  sink.gauge("attachments", order_.size(), "Processes attached to these");
  sink.gauge("draining", draining_count(), "Attachments that ended and still hold something");
}

}  // namespace quire::server
