// Every bound that both sides of the socket must agree on, with its reason (law 10).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::model {

inline constexpr size_t kMaxFrameBytes = 1 << 20;      // a V4-Pro layout is 10 KiB; 1 MiB is slack
inline constexpr size_t kMaxDescriptorsPerFrame = 16;  // a session reply carries 6
inline constexpr size_t kMaxGroups = 64;               // group masks are one 64-bit word
inline constexpr size_t kMaxLayersPerGroup = 4096;     // 126 layers x a few tensors, with slack
inline constexpr size_t kMaxNameBytes = 63;            // names travel in 64-byte zero-padded fields
inline constexpr size_t kMaxRetentionBytes = 15;       // of a retention class's name, "5m"
inline constexpr uint64_t kMaxPageBytes = 1ull << 30;  // a page fits the largest segment
inline constexpr uint32_t kMaxUnitTokens = 1 << 16;
inline constexpr uint32_t kMaxUnits = 1 << 24;  // depth is kept in 24 bits: 2 G tokens at A=128
inline constexpr uint32_t kMaxLeasesPerAttachment = 1024;  // an engine's running batch, with slack
// Longer deadlines of requests are taken as this long: what waits holds pins of its domain, and a
// prefill that could be waited for longer does not exist.
inline constexpr uint32_t kMaxDeadlineMs = 600'000;
inline constexpr uint64_t kPageAlignment = 4096;   // O_DIRECT
inline constexpr uint64_t kStagingAlignment = 64;  // one cache line: the copy kernel's step

}  // namespace quire::model
