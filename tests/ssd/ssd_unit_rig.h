// The SSD tier over a cache and under loads and demotion, without a daemon: a faulty device, checks
// on the calling thread, a clock that stands still. Everything by steps.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_engine.h"
#include "tests/tiering/tier_rig.h"
#include "tiering/io/copy_engine.h"
#include "tiering/io/thread_engine.h"
#include "tiering/ssd/ssd_tier.h"

namespace quire::tests {

// What outlives the tier.
struct SsdUnitSurroundings {
  ScratchDirectory directory{memory_directory()};
  FaultyEngine engine{tiering::ThreadEngine::create({.queue_depth = 64, .max_files = 64}).value()};
  tiering::InlineCopyEngine checks{tiering::kMaxTransfers * tiering::kMaxRunObjects};
};

class SsdUnitRig : private SsdUnitSurroundings, public RigOverTier {
 public:
  static constexpr uint64_t kRegionBytes = 1 << 20;  // three objects and their headers

  explicit SsdUnitRig(uint64_t capacity_bytes = 64 << 20, const RigChoice& choice = {})
      : RigOverTier(choice, [&, this](cache::Cache* cache, const model::Clock* time) {
          tiering::SsdTierOptions options;
          options.directory = {.path = directory / "ssd", .region_bytes = kRegionBytes};
          options.capacity_bytes = capacity_bytes;
          options.codec.enabled = false;
          return tiering::SsdTier::open(
                     {.cache = cache, .engine = &engine, .checks = &checks, .clock = time}, options)
              .value();
        }) {}

  FaultyEngine& device() { return engine; }
  tiering::SsdTier& tier() { return static_cast<tiering::SsdTier&>(*set().members().front().tier); }
};

}  // namespace quire::tests
