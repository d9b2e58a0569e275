// Bytes as lower-case hex, two digits each: hashes and tokens in names, documents and output.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quire::model {

inline std::string hex_text(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace quire::model
