// CRC32C fused with a copy that bypasses the cache: pool pages are read by other processes much
// later, so filling this core's cache with them only costs. With the checksum computed on bytes
// that are in registers anyway, it is free: the copy is bound by memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quire::tiering {

// Copies `bytes` and returns their CRC32C (initial value and final xor as in RFC 3720), or that of
// what `before` is the CRC32C of with these bytes behind it.
// Ranges must not overlap. Any alignment; fastest when both are multiples of 64.
uint32_t crc_copy(std::byte* target, const std::byte* source, size_t bytes, uint32_t before = 0);
// The same checksum without a copy.
uint32_t crc32c(const std::byte* data, size_t bytes, uint32_t before = 0);

}  // namespace quire::tiering
