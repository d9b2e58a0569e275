// What a client gets of a context whose copies on the SSD may be anything.
#pragma once

#include <cstdint>

#include "client/quire.h"
#include "tests/support/small_layout.h"

namespace quire::tests {

// Tokens of the context that were loaded with every byte right. A hit that turns out to be a miss
// when it is loaded is matched again. -1: a wrong byte. -2: hits that never load.
int loaded_tokens(client::Client& client, uint64_t context, uint32_t tokens,
                  const model::Layout& layout = small_hybrid_layout());

}  // namespace quire::tests
