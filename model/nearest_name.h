// The known name that a mistyped one most likely meant: for error texts about unknown keys.
#pragma once

#include <span>
#include <string_view>

namespace quire::model {

// Smallest edit distance; the first of equals. `known` is not empty. Names of at most 64 bytes are
// compared, longer ones by their first 64.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> known);

}  // namespace quire::model
