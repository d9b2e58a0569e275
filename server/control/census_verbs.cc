#include "server/control/census_verbs.h"

#include "server/status/census.h"

namespace quire::server {

model::Result<void> CensusVerbs::sessions(const VerbCall& call) {
  parts_.desk->answer_after(
      call.connection, call.type, call.sequence,
      std::make_unique<SessionCensus>(parts_.cache, parts_.registry, parts_.clock));
  return {};
}

model::Result<void> CensusVerbs::tenants(const VerbCall& call) {
  parts_.desk->answer_after(call.connection, call.type, call.sequence,
                            std::make_unique<TenantCensus>(parts_.cache, parts_.registry));
  return {};
}

}  // namespace quire::server
