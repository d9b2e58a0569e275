// The verb by which operators see and change what users and tenants are guaranteed of a tier, and
// the most that they may hold. Each change is a line of the log, with who made it, and survives a
// restart. Threads: core only.
#pragma once

#include "cache/cache.h"
#include "model/clock.h"
#include "model/metrics.h"
#include "model/result.h"
#include "model/wire.h"
#include "server/control/state_keeper.h"
#include "server/control/verb_call.h"
#include "server/status/status_desk.h"

namespace quire::server {

class QuotaVerbs {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    StatusDesk* desk = nullptr;
    StateKeeper* keeper = nullptr;
    const model::Clock* clock = nullptr;
  };
  explicit QuotaVerbs(const Parts& parts) : parts_(parts) {}

  // kInvalidArgument: no such action or tier, no domain named, a burst below the guarantee, more
  // guaranteed than the tier has. kResourceExhausted: too many rules.
  model::Result<void> quota(const VerbCall& call);

 private:
  model::Result<void> change(const VerbCall& call, const model::QuotaRequest& request);
  void describe(model::MetricSink& sink) const;

  Parts parts_;
};

// Whom a request names. kInvalidArgument: a tenant without a domain, no such tier, or text that
// must not be in a log.
model::Result<cache::ScopeName> scope_name(uint8_t tier, const model::WireName& domain,
                                           bool of_tenant, const model::WireName& tenant);
// Whose domain it is. kInvalidArgument: it does not read uid:N.
model::Result<uint32_t> uid_of_domain(std::string_view domain);
// "tier=ram domain=uid:1000 tenant=acme", for the log; "*" for all.
std::string scope_text(const cache::ScopeName& name);
// Whether changes survive a restart.
void describe_keeper(const StateKeeper& keeper, model::MetricSink& sink);

}  // namespace quire::server
