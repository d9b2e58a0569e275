// The layout of the reference decoder, computed from its page geometry.
//
// One shard has three groups: global.R (append), window.R and state.R. With several shards (ranks)
// each rank runs its own decoder over the same tokens and owns its three groups, as tensor-parallel
// ranks own their heads; a span is visible when every rank has committed.
#pragma once

#include <cstdint>

#include "model/layout.h"
#include "model/reference/kv_geometry.h"

namespace quire::client {

inline constexpr uint32_t kGroupsPerShard = 3;

model::Layout reference_layout(const reference::KvGeometry& geometry, uint32_t shard_count);

// Group indexes of one shard.
struct ShardGroups {
  model::GroupIndex global = 0;
  model::GroupIndex window = 0;
  model::GroupIndex state = 0;

  explicit ShardGroups(uint32_t shard)
      : global(static_cast<model::GroupIndex>(shard * kGroupsPerShard)),
        window(static_cast<model::GroupIndex>(global + 1)),
        state(static_cast<model::GroupIndex>(global + 2)) {}
  uint64_t mask() const { return uint64_t{0b111} << global; }
};

}  // namespace quire::client
