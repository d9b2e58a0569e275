// How long a test waits for what must come. It ends a test that would hang for ever; no figure of
// Quire's: a machine that is busy, or whose disk is, may take long.
#pragma once

#include <chrono>
#include <cstdint>

namespace quire::tests {

inline constexpr uint32_t kPatienceMs = 60'000;
inline constexpr std::chrono::milliseconds kPatience{kPatienceMs};

}  // namespace quire::tests
