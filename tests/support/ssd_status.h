// What tests and benches ask of a daemon with an SSD tier: the tier, and what stands above it.
// Threads: core, as Inspector. Precondition: the daemon has one.
#pragma once

#include "model/metrics.h"
#include "server/daemon.h"
#include "tiering/ssd/ssd_tier.h"
#include "tiering/tier_set.h"

namespace quire::tests {

struct DemoterCounters : tiering::DemotionCounters, tiering::EncodedCounters {};

struct SsdStatus : tiering::SsdTierStatus {
  DemoterCounters demoter;
  tiering::LoadCounters loader;
  tiering::AdmissionCounters admission;
  uint64_t queued = 0;            // candidates for demotion
  uint64_t loads = 0;             // under way
  double durable_lag_ms_p50 = 0;  // from candidate to durable, over the last 4,096 objects
  double durable_lag_ms_p99 = 0;
};

inline tiering::Demotion& ssd_demotion(server::Daemon& daemon) {
  return *daemon.tiers()->members().front().demotion;
}

inline SsdStatus ssd_status(server::Daemon& daemon) {
  SsdStatus status;
  static_cast<tiering::SsdTierStatus&>(status) = daemon.ssd_tier()->status();
  const tiering::Demotion& demotion = ssd_demotion(daemon);
  static_cast<tiering::DemotionCounters&>(status.demoter) = demotion.counters();
  static_cast<tiering::EncodedCounters&>(status.demoter) = status.encoded;
  status.loader = daemon.tiers()->loads().counters(model::TierId::kSsd);
  status.admission = demotion.admission().counters();
  status.queued = daemon.tiers()->queued();
  status.loads = daemon.tiers()->loads().count();
  status.durable_lag_ms_p50 = model::quantile(demotion.durable_lags_ns(), 0.5) / model::kNsPerMs;
  status.durable_lag_ms_p99 = model::quantile(demotion.durable_lags_ns(), 0.99) / model::kNsPerMs;
  return status;
}

}  // namespace quire::tests
