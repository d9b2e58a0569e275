// Verbs of sessions: open, join, close. What takes more than the call is answered some turns later:
//
//   open --reserves RAM: queued, is told so, and asks again with its ticket --admitted--.
//     \----------------------------------------------> memory is made off the core, then the reply
//   join --^
//
// A connection takes no frame while its session's memory is being made: one opening a connection,
// so that table is bounded. Threads: core only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/wire.h"
#include "server/control/verb_call.h"
#include "server/runtime/region_maker.h"
#include "server/sessions/checkpoint_teller.h"
#include "server/sessions/connection.h"
#include "server/sessions/session_queue.h"
#include "server/sessions/session_registry.h"
#include "server/start/options.h"

namespace quire::server {

class SessionVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    SessionRegistry* registry = nullptr;
    CheckpointTeller* teller = nullptr;
    const Options* options = nullptr;
    const model::Clock* clock = nullptr;
    UidShares* shares = nullptr;
    RegionMaker* maker = nullptr;
    std::function<model::Result<void>(Attachment&)>
        watch_doorbell;  // before its descriptors go out
    std::function<void(Attachment&)> end_attachment;
  };
  // kInvalidArgument when the options' tenant rules are wrong.
  static model::Result<std::unique_ptr<SessionVerbs>> create(Parts parts);
  void set_tenants(TenantRules tenants) { tenants_ = std::move(tenants); }  // for later sessions
  bool speaks_for(uint32_t uid, const std::string& tenant) const {
    return tenants_.allows(uid, tenant);
  }

  // OpenSessionReply and the session's descriptors, some turns later; without a session: it is
  // queued. kUnknownLayout, kPermissionDenied (the tenant), kStaleHandle (the epoch), kBusy;
  // kResourceExhausted, kDeadlineExceeded, kNotFound: SessionQueue.
  model::Result<void> open_session(const VerbCall& call);
  // The same, by a session's token. kNotFound: none of this domain has it.
  model::Result<void> join_session(const VerbCall& call);
  // kNotFound: not an attachment of this connection.
  model::Result<void> close_session(const VerbCall& call);
  // Errors of StagingAreas::make.
  model::Result<void> make_staging(const VerbCall& call);

  // Replies to those whose session's memory has been made, and grants what those who wait to be
  // admitted can have by now. Returns how many were replied to.
  size_t finish_openings();
  // Somebody is looked at by time.
  bool waits() const { return queue_.count() > 0; }
  // The connection ended, and its attachments.
  void forget(Connection& connection);
  const SessionQueue& queue() const { return queue_; }

 private:
  explicit SessionVerbs(Parts parts)
      : parts_(std::move(parts)),
        queue_({.cache = parts_.cache, .shares = parts_.shares, .clock = parts_.clock}) {}

  // A session whose memory is being made; its connection is suspended.
  struct Opening {
    Connection* connection = nullptr;
    Attachment* attachment = nullptr;
    model::FrameType type{};
    uint32_t sequence = 0;
  };

  model::Result<SessionIdentity> identify(const Connection& connection,
                                          const model::OpenSessionRequest& request) const;
  model::Result<AdmissionAnswer> admit(const Connection& connection,
                                       const model::OpenSessionRequest& request,
                                       const std::string& payer);
  model::Result<void> open_now(const VerbCall& call, const model::OpenSessionRequest& request,
                               const SessionIdentity& identity, AdmissionAnswer admitted);
  model::Error refused(const Connection& connection, bool reserved, model::Error why);
  void look_at_queue();
  // The reply follows in finish_opening(), some turns later, where there is memory to be made.
  model::Result<void> make_memory(Connection& connection, Attachment& attachment,
                                  model::FrameType type, uint32_t sequence);
  void finish_opening(uint64_t attachment, bool made);
  // Sends the session with its descriptors. It may end the connection.
  model::Result<void> reply_with_session(Connection& connection, uint32_t sequence,
                                         model::FrameType type, Attachment& attachment);

  Parts parts_;
  TenantRules tenants_;
  std::unordered_set<std::string> shared_namespaces_;
  SessionQueue queue_;
  std::unordered_map<uint64_t, Opening> openings_;  // by attachment; at most one a connection
  int64_t looked_ns_ = 0;                           // at the queue
};

// A name that people will read. (A salt is bytes, and nobody reads it.)
model::Result<std::string> clean_name(const model::WireName& name, std::string_view what);

}  // namespace quire::server
