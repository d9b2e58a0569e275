#include "server/control/trace_verbs.h"

#include <algorithm>
#include <string>

#include "server/control/pipe_reply.h"
#include "server/control/quota_verbs.h"

namespace quire::server {

using model::Result;

Result<void> TraceVerbs::trace(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::TraceRequest>(call.payload));
  const cache::ScopeName scope =
      QUIRE_TRY(scope_name(static_cast<uint8_t>(model::TierId::kRam), request.domain,
                           request.of_tenant == 1, request.tenant));
  TraceStart start{.owner = &call.connection};
  start.for_ns = static_cast<int64_t>(
      std::min<uint64_t>(request.for_ms, INT64_MAX / (2 * model::kNsPerMs)) * model::kNsPerMs);
  if (!scope.domain.empty()) start.filter.uid = QUIRE_TRY(uid_of_domain(scope.domain));
  start.filter.tenant = scope.tenant;
  PipeReply reply = QUIRE_TRY(PipeReply::create());
  start.write_end = reply.take_writer();
  QUIRE_TRY(recorder_->start(std::move(start)));
  // Last: it may end the connection, and with it the recording.
  reply.send(call, model::struct_bytes(model::ReplyStatus{}));
  return {};
}

}  // namespace quire::server
