// Page bytes generated from (key, group, version), so that any process can check any page without
// keeping it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace quire::tests {

// A flag in a version: elements of two bytes whose upper bytes change seldom, as those of bf16. A
// byte-plane split and lz4 make little more than half of it. The lower ones are as random as ever.
inline constexpr uint32_t kLikeBf16 = 1u << 31;

// Fills `page` with the bytes that belong to this identity.
void fill_page(std::span<std::byte> page, uint64_t key, uint32_t group, uint32_t version = 0);
// True when every byte is right.
bool check_page(std::span<const std::byte> page, uint64_t key, uint32_t group,
                uint32_t version = 0);

}  // namespace quire::tests
