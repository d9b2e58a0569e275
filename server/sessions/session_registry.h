// All sessions and attachments: opening, joining, ending, and what waits for copy workers.
// Threads: core only. Bounds: options.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "model/wire.h"
#include "server/rings/client_process.h"
#include "server/rings/dispatcher.h"
#include "server/rings/session.h"
#include "server/runtime/off_core_closer.h"
#include "server/sessions/staging_areas.h"
#include "server/sessions/uid_shares.h"

namespace quire::server {

struct RegistryOptions {
  uint32_t max_sessions_per_connection = 4096;
  UidShares* shares = nullptr;      // charged; bounds sessions, their memory and descriptors
  OffCoreCloser* closer = nullptr;  // of what ended sessions leave; tells what is not charged more
};

// What open_session resolved from names and policy.
struct SessionIdentity {
  model::DomainId domain;
  cache::RootKey root;
  SessionBilling billing;
};

// What a process attaches with.
struct AttachWith {
  LaneShape shape;
  uint64_t staging = 0;  // number of one of its areas; 0: it commits nothing
  uint64_t lane = 0;     // that it kept; 0, or one that the daemon did not keep: a new one is made
  model::SessionRole role = model::SessionRole::kBoth;
};

class SessionRegistry {
 public:
  // Lanes that a client may keep for later sessions, whatever their shapes; none while descriptors
  // or session memory are scarce.
  static constexpr size_t kMaxSpareLanes = 64;

  SessionRegistry(cache::Cache* cache, Dispatcher* dispatcher, const RegistryOptions& options)
      : cache_(cache),
        dispatcher_(dispatcher),
        options_(options),
        areas_(options.shares, options.closer) {}

  StagingAreas& areas() { return areas_; }
  // kBusy at a bound, kInvalidArgument for a shape, kNotFound for a staging area, errors of
  // Cache::open_session. The identity's payer pays; the reservation is of it, and goes with the
  // session.
  model::Result<Attachment*> open(ClientProcess& client, const SessionIdentity& identity,
                                  const AttachWith& with, cache::Reservation reservation = {});
  // kNotFound: no such token in this domain (the answer for another domain's token is the same).
  model::Result<Session*> find(const ClientProcess& client,
                               const std::array<uint8_t, 16>& token) const;
  // The reservation is for its own loads and leases. Errors as above.
  model::Result<Attachment*> join(ClientProcess& client, const model::JoinSessionRequest& request,
                                  cache::Reservation reservation = {});
  // Law 5. The attachment may be destroyed by the call. Lowers `budget` by the steps that it did;
  // what is beyond it follows in sweep(). Its lane is among the client's spare ones afterwards, or
  // on its way to be closed.
  void end(Attachment& attachment, uint32_t& budget);
  // The client is gone, and its attachments are: what it kept goes too.
  void forget(ClientProcess& client);
  // One step of freeing what ended attachments held; destroys those of which nothing is left. True
  // when the next step has something to do already.
  bool sweep();

  // Alive, in no order; changes with every open and end.
  const std::vector<Attachment*>& attachments() const { return order_; }
  uint64_t shared_bytes() const { return options_.shares->used(Shared::kSessionBytes); }
  // Of these, what clients keep for sessions that they have not opened yet, or commit from.
  uint64_t kept_bytes() const { return spare_bytes_ + areas_.bytes(); }
  uint64_t kept_descriptors() const { return spare_descriptors_; }
  // Open sessions, those that only drain included.
  size_t session_count() const { return sessions_.size(); }
  // Attachments that ended and still hold leases, fills or memory under copy.
  size_t draining_count() const { return draining_.size(); }
  // Figures of the section "clients" of a status.
  void describe(model::MetricSink& sink) const;
  // In no order. visit(const Session&) must not open or end any.
  template <typename Visit>
  void for_each_session(Visit&& visit) const {
    for (const auto& [id, session] : sessions_) visit(*session);
  }
  // Null: it is not open any more.
  Session* find(uint64_t session) const {
    const auto found = sessions_.find(session);
    return found == sessions_.end() ? nullptr : found->second.get();
  }
  // Open sessions of this payer; counted as they come and go, for a look at all is no turn's work.
  uint64_t sessions_paid_by(model::TenantId payer) const {
    const auto found = by_payer_.find(payer.value);
    return found == by_payer_.end() ? 0 : found->second;
  }

 private:
  // kInvalidArgument: the shape. kBusy: the connection, or its uid's shares.
  model::Result<void> check_bounds(ClientProcess& client, const AttachWith& with);
  model::Result<std::unique_ptr<Session>> make_session(const ClientProcess& client,
                                                       const SessionIdentity& identity,
                                                       uint32_t max_units);
  model::Result<Attachment*> attach(ClientProcess& client, Session& session,
                                    const AttachWith& with);
  model::Result<std::unique_ptr<Lane>> take_lane(ClientProcess& client, const AttachWith& with);
  // Where the session has none yet: the lane's, or a new one. Whether the lane's process has what
  // the session has then.
  model::Result<bool> give_progress(Session& session, Lane& lane);
  // That of the client with a place for a lane of this shape, or new one.
  model::Result<std::shared_ptr<LaneMemory>> lane_memory(ClientProcess& client,
                                                         const LaneShape& shape);
  void close_lane(std::unique_ptr<Lane> lane);
  // Unless it has other lanes.
  void close_memory(std::shared_ptr<LaneMemory> memory);
  void close_spare_lanes(ClientProcess& client);
  bool may_keep(const ClientProcess& client) const;
  // Nothing of it is left but memory and descriptors, which are kept or closed off the core.
  void finish(Attachment& attachment);
  // Ends the session, unless an attachment is left or drains. Its progress goes back to `lane`,
  // where it came with that one.
  void maybe_close(Session& session, Lane* lane);
  // None where there is none.
  void close_progress(SharedRegion& progress, uint32_t uid);

  cache::Cache* cache_;
  Dispatcher* dispatcher_;
  RegistryOptions options_;
  StagingAreas areas_;
  uint64_t next_session_ = 1;
  uint64_t next_attachment_ = 1;
  uint64_t next_lane_ = 1;
  uint64_t spare_bytes_ = 0;  // of spare lanes
  uint64_t spare_descriptors_ = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;
  std::unordered_map<std::string, Session*> by_token_;
  std::unordered_map<uint32_t, uint64_t> by_payer_;  // how many, by tenant
  std::unordered_map<Attachment*, std::unique_ptr<Attachment>> owned_;
  std::vector<Attachment*> order_;     // alive, in no order; each knows its place
  std::vector<Attachment*> draining_;  // ended, with copies in flight, leases or fills
};

}  // namespace quire::server
