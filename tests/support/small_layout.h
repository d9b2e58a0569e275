// Layouts small enough for tests: V4-shaped, append-only, sharded, compressible.
#pragma once

#include "model/layout.h"

namespace quire::tests {

// A = 4, B = 8; append "global", window "swa", state "state". Page sizes are odd on purpose.
model::Layout small_hybrid_layout();
// A = B = 4; one append group.
model::Layout small_append_layout();
// As small_hybrid_layout, with the three groups twice: shard 0 and shard 1.
model::Layout small_sharded_layout();

// A = 4, B = 8; append "global" and window "swa" of bf16, whose encoded pages take several blocks
// less; append "index" and state "state" opaque. The writer fills groups of bf16 with kLikeBf16.
model::Layout small_packing_layout();
// Its append groups alone.
model::Layout small_packing_append_layout();

}  // namespace quire::tests
