// A cluster in memory below the other tiers of a daemon that runs. On its core thread.
#pragma once

#include <memory>

#include "model/check.h"
#include "server/daemon.h"
#include "tests/support/memory_tier.h"

namespace quire::tests {

// The daemon's; written to at once, with what the rule lets up.
inline MemoryTier* add_memory_cluster(server::Daemon& daemon, tiering::AdmissionRule rule) {
  QUIRE_CHECK(daemon.cache().attach_tier(model::TierId::kCluster, "lru").ok());
  auto tier = std::make_unique<MemoryTier>(&daemon.cache(),
                                           MemoryTierOptions{.id = model::TierId::kCluster});
  MemoryTier* added = tier.get();
  tiering::DemotionOptions options{.delay_ms = 0, .ram_bytes = 64 << 20};
  options.admission.rule = rule;
  daemon.tiers()->add(std::move(tier), options);
  return added;
}

}  // namespace quire::tests
