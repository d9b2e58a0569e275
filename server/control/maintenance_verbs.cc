#include "server/control/maintenance_verbs.h"

#include <string>

#include "model/metrics.h"
#include "server/start/options.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::read_struct;

tiering::Upkeep* MaintenanceVerbs::upkeep() const {
  return parts_.tiers == nullptr ? nullptr : parts_.tiers->upkeep();
}

model::Result<void> MaintenanceVerbs::verify(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::VerifyRequest>(call.payload));
  switch (static_cast<model::VerifyScope>(request.scope)) {
    case model::VerifyScope::kMemory:
      // One under way goes on: who waits for a whole pass may have to wait for the next.
      parts_.memory_check->start(parts_.clock->now_ns());
      [[fallthrough]];
    case model::VerifyScope::kMemoryStatus:
      parts_.desk->answer(call.connection, call.type, call.sequence, [this](auto& sink) {
        model::describe(sink, parts_.memory_check->status());
      });
      return {};
    case model::VerifyScope::kIndexAndHeaders:
      if (upkeep() == nullptr) {
        return make_error(Errc::kNotFound, std::string(kNoLowerTierToRead));
      }
      upkeep()->start_scrub(0);  // as fast as the daemon is configured
      reply_with_scrub(call);
      return {};
    default:
      return make_error(Errc::kInvalidArgument,
                        "scope must be 0 (memory), 1 (headers) or 2 (status of memory)");
  }
}

model::Result<void> MaintenanceVerbs::scrub(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::ScrubRequest>(call.payload));
  if (upkeep() == nullptr) return make_error(Errc::kNotFound, std::string(kNoLowerTier));
  switch (static_cast<model::ScrubAction>(request.action)) {
    case model::ScrubAction::kStatus:
      break;
    case model::ScrubAction::kStart:
      upkeep()->start_scrub(request.bytes_per_second);
      break;
    case model::ScrubAction::kStop:
      upkeep()->stop_scrub();
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (status), 1 (start) or 2 (stop)");
  }
  reply_with_scrub(call);
  return {};
}

model::Result<void> MaintenanceVerbs::kept(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::KeptRequest>(call.payload));
  if (upkeep() == nullptr) return make_error(Errc::kNotFound, std::string(kNoLowerTier));
  const std::string_view name = QUIRE_TRY(model::from_wire_name(request.reason));
  QUIRE_TRY(upkeep()->check_reason(name));
  switch (static_cast<model::KeptAction>(request.action)) {
    case model::KeptAction::kShow:
      break;
    case model::KeptAction::kDrop:
      QUIRE_TRY(upkeep()->drop_kept(name));
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (show) or 1 (drop)");
  }
  // Dropping goes on in the tier's steps: the answer says that it is under way.
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](auto& sink) { upkeep()->describe_kept(sink); });
  return {};
}

// How far the scrub is, and what it found.
void MaintenanceVerbs::reply_with_scrub(const VerbCall& call) {
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](auto& sink) { upkeep()->describe_scrub(sink); });
}

}  // namespace quire::server
