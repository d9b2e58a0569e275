#include "server/control/maintenance_verbs.h"

#include <algorithm>
#include <string>

#include "server/status/status.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::read_struct;
using model::struct_bytes;

namespace {

void reply_with_text(const VerbCall& call, std::string_view text) {
  std::string bytes(struct_bytes(model::ReplyStatus{}));
  bytes += text;
  call.reply(bytes);
}

}  // namespace

model::Result<void> MaintenanceVerbs::evict(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::EvictRequest>(call.payload));
  model::EvictReply reply;
  // 0 = all that may go: in steps, like any other number beyond the bound.
  const uint64_t wanted = request.count == 0 ? model::kMaxEvictedPerFrame : request.count;
  reply.evicted = parts_.cache->store().evict(std::min(wanted, model::kMaxEvictedPerFrame));
  call.reply(struct_bytes(reply));
  return {};
}

model::Result<void> MaintenanceVerbs::verify(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::VerifyRequest>(call.payload));
  std::string text;
  switch (static_cast<model::VerifyScope>(request.scope)) {
    case model::VerifyScope::kMemory:
      parts_.memory_check->start(parts_.clock->now_ns());
      [[fallthrough]];
    case model::VerifyScope::kMemoryStatus:
      text = make_memory_check_json(parts_.memory_check->status());
      break;
    case model::VerifyScope::kIndexAndHeaders:
      if (parts_.tier == nullptr) {
        return make_error(Errc::kNotFound, "there is no SSD tier whose headers could be read");
      }
      parts_.tier->start_scrub(0);
      text = make_scrub_json(*parts_.tier);
      break;
    default:
      return make_error(Errc::kInvalidArgument,
                        "scope must be 0 (memory), 1 (headers) or 2 (status of memory)");
  }
  reply_with_text(call, text);
  return {};
}

model::Result<void> MaintenanceVerbs::scrub(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::ScrubRequest>(call.payload));
  if (parts_.tier == nullptr) {
    return make_error(Errc::kNotFound, "there is no SSD tier; start with --ssd_path");
  }
  switch (static_cast<model::ScrubAction>(request.action)) {
    case model::ScrubAction::kStatus:
      break;
    case model::ScrubAction::kStart:
      parts_.tier->start_scrub(request.bytes_per_second);
      break;
    case model::ScrubAction::kStop:
      parts_.tier->stop_scrub();
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (status), 1 (start) or 2 (stop)");
  }
  reply_with_text(call, make_scrub_json(*parts_.tier));
  return {};
}

model::Result<void> MaintenanceVerbs::kept(const VerbCall& call) {
  const auto request = QUIRE_TRY(read_struct<model::KeptRequest>(call.payload));
  if (parts_.tier == nullptr) {
    return make_error(Errc::kNotFound, "there is no SSD tier; start with --ssd_path");
  }
  const std::string_view name = QUIRE_TRY(model::from_wire_name(request.reason));
  const auto reason = tiering::parse_kept_reason(name);
  if (!name.empty() && !reason) {
    return make_error(Errc::kInvalidArgument,
                      "nothing is kept for the reason \"" + std::string(name) + "\"");
  }
  switch (static_cast<model::KeptAction>(request.action)) {
    case model::KeptAction::kShow:
      break;
    case model::KeptAction::kDrop:
      QUIRE_TRY(parts_.tier->drop_kept(reason));
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (show) or 1 (drop)");
  }
  reply_with_text(call, make_kept_json(*parts_.tier));
  return {};
}

}  // namespace quire::server
