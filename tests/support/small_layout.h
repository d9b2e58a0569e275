// Layouts small enough for tests: V4-shaped, append-only, sharded.
#pragma once

#include "model/layout.h"

namespace quire::tests {

// A = 4, B = 8; append "global", window "swa", state "state". Page sizes are odd on purpose.
model::Layout small_hybrid_layout();
// A = B = 4; one append group.
model::Layout small_append_layout();
// As small_hybrid_layout, with the three groups twice: shard 0 and shard 1.
model::Layout small_sharded_layout();

}  // namespace quire::tests
