// Sizes as people write them.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/result.h"

namespace quire::model {

// "64MiB", "1 GiB", "4096" -> bytes. kInvalidArgument, which calls it `what`.
Result<uint64_t> parse_bytes(std::string_view what, std::string_view text);

}  // namespace quire::model
