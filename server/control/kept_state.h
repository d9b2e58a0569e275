// What commands have set, between the cache's tables and the state file: written after each change,
// in force again at the next start. Times are wall clock in the file, monotonic in the daemon.
// Threads: core only.
#pragma once

#include <cstdint>
#include <string>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/result.h"
#include "server/control/state_keeper.h"

namespace quire::server {

// Policies, quotas, checkpoints and pins, to be written off the core.
void keep_state(const cache::Cache& cache, const model::Clock& clock, StateKeeper& keeper);
// Of an earlier life. Pins whose time is over are left out, and those that RAM is too small for by
// now, which the log names. kInvalidArgument, kIoError: the file cannot be read, or makes no sense.
model::Result<void> restore_state(cache::Cache& cache, const model::Clock& clock,
                                  const std::string& path);

// When a pin ends that is to last so long; a time beyond the clock's is NamespacePin::kForever.
int64_t pin_end(uint64_t seconds, int64_t now_ns);
// Rounded up: a pin that is in force has some time left.
uint64_t seconds_left(int64_t until_ns, int64_t now_ns);
std::string pin_text(const cache::PinName& name);

}  // namespace quire::server
