// Verbs of the socket: hello, layouts, segments, status; those of sessions and operators are parts
// of its own. Rare; may allocate. One authorisation point: on_frame() looks a verb and its action
// up in one table (model/socket_verbs.h) and compares the role with the peer's before it calls it;
// no verb checks a role itself. What a uid may name inside a verb it may call (tenants, sessions,
// its domain's segments) is the verb's to check. What was changed, and what was refused, is told to
// the audit log there, too (server/control/audit.h). Threads: core only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/wire.h"
#include "server/control/census_verbs.h"
#include "server/control/config_verbs.h"
#include "server/control/content_verbs.h"
#include "server/control/event_verbs.h"
#include "server/control/host_handover.h"
#include "server/control/locate_verb.h"
#include "server/control/maintenance_verbs.h"
#include "server/control/meter_verbs.h"
#include "server/control/pin_verbs.h"
#include "server/control/policy_verbs.h"
#include "server/control/quota_verbs.h"
#include "server/control/session_verbs.h"
#include "server/control/trace_verbs.h"
#include "server/control/verb_call.h"
#include "server/control/why_verbs.h"
#include "server/rings/memory_check.h"
#include "server/runtime/region_maker.h"
#include "server/sessions/checkpoint_teller.h"
#include "server/sessions/connection.h"
#include "server/sessions/peer_uids.h"
#include "server/sessions/segment_share.h"
#include "server/sessions/session_registry.h"
#include "server/start/options.h"
#include "server/status/status_desk.h"
#include "tiering/tier_set.h"

namespace quire::server {

class ControlVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    SessionRegistry* registry = nullptr;
    SegmentShare* segments = nullptr;
    CheckpointTeller* teller = nullptr;
    const Options* options = nullptr;
    tiering::TierSet* tiers = nullptr;  // null: none
    MemoryCheck* memory_check = nullptr;
    const model::Clock* clock = nullptr;
    UidShares* shares = nullptr;
    RegionMaker* maker = nullptr;
    StatusDesk* desk = nullptr;
    StateKeeper* keeper = nullptr;
    GhostFeed* ghosts = nullptr;  // null: there are none
    Ledger* ledger = nullptr;     // null: receipts are not kept
    TraceRecorder* traces = nullptr;
    const TurnMemory* memory = nullptr;        // null: turns are not remembered
    std::optional<ConfigVerbs::Parts> config;  // none: the daemon has no flags
    EventSender* events = nullptr;             // null: events are off
    uint64_t daemon_epoch = 0;
    std::function<model::Result<void>(Attachment&)>
        watch_doorbell;  // before its descriptors go out
    std::function<void(Attachment&)> end_attachment;
  };
  // kInvalidArgument when the options' tenant rules are wrong.
  static model::Result<ControlVerbs> create(Parts parts);
  SessionVerbs& sessions() { return *sessions_; }
  LocateVerb& locates() { return *locates_; }
  HostHandover& hand_over() { return hand_over_; }

  // An error ends the connection (a frame that no correct client sends). A verb that merely fails
  // replies with its status and returns void.
  model::Result<void> on_frame(Connection& connection, const model::FrameHeader& header,
                               std::string_view payload);
  // The connection ended, and its attachments.
  void forget(Connection& connection);

 private:
  explicit ControlVerbs(Parts parts)
      : parts_(std::move(parts)),
        maintenance_({.tiers = parts_.tiers,
                      .memory_check = parts_.memory_check,
                      .clock = parts_.clock,
                      .desk = parts_.desk}),
        content_({.cache = parts_.cache, .tiers = parts_.tiers, .desk = parts_.desk}),
        policies_({.cache = parts_.cache,
                   .desk = parts_.desk,
                   .keeper = parts_.keeper,
                   .ghosts = parts_.ghosts,
                   .clock = parts_.clock,
                   .teller = parts_.teller}),
        quotas_({.cache = parts_.cache,
                 .desk = parts_.desk,
                 .keeper = parts_.keeper,
                 .clock = parts_.clock}),
        pins_({.cache = parts_.cache,
               .desk = parts_.desk,
               .keeper = parts_.keeper,
               .clock = parts_.clock}),
        census_({.cache = parts_.cache,
                 .registry = parts_.registry,
                 .desk = parts_.desk,
                 .clock = parts_.clock}),
        meters_(parts_.ledger),
        traces_(parts_.traces),
        why_({.cache = parts_.cache,
              .memory = parts_.memory,
              .desk = parts_.desk,
              .clock = parts_.clock}),
        events_(parts_.events),
        hand_over_({.cache = parts_.cache,
                    .registry = parts_.registry,
                    .tiers = parts_.tiers,
                    .clock = parts_.clock}) {}

  struct Handler {
    model::FrameType type;
    model::Result<void> (*handle)(ControlVerbs& verbs, const VerbCall& call);
  };
  // Precondition: a row of the table.
  static const Handler& handler_of(model::FrameType type);

  // Each sends its own reply; an error becomes the reply's status.

  // HelloRequest; HelloReply with all segments, and descriptors of the first of them.
  // kUnsupportedVersion; kPermissionDenied: a uid that may stand for several users; kBusy: too many
  // domains.
  model::Result<void> hello(const VerbCall& call);
  // An encoded layout; RegisterLayoutReply, whose text warns of objects that no lower tier takes.
  // kInvalidLayout; kBusy at the connection's, the uid's or the table's bound.
  model::Result<void> register_layout(const VerbCall& call);
  // The segment's numbers and descriptor. kNotFound: not a segment of this domain.
  model::Result<void> map_segment(const VerbCall& call);
  // No reply. Of a segment that is not asked back nothing happens.
  model::Result<void> unmapped_segment(const VerbCall& call);
  model::Result<void> ping(const VerbCall& call);
  // kNotFound: the daemon has no flags.
  model::Result<void> config(const VerbCall& call);
  // Answered by the desk, when the document is printed.
  model::Result<void> status(const VerbCall& call);

  Parts parts_;
  MaintenanceVerbs maintenance_;
  ContentVerbs content_;
  PolicyVerbs policies_;
  QuotaVerbs quotas_;
  PinVerbs pins_;
  CensusVerbs census_;
  MeterVerbs meters_;
  TraceVerbs traces_;
  WhyVerbs why_;
  std::unique_ptr<SessionVerbs> sessions_;
  ConfigVerbs::Owner config_;  // null: the daemon has no flags
  EventVerbs events_;
  HostHandover hand_over_;
  std::optional<LocateVerb> locates_;  // asks sessions_; there once it was created
  PeerUids peer_uids_ = PeerUids::read();
};

}  // namespace quire::server
