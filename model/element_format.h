// Element formats name what is inside a row, for receipts, codecs and tools. Quire never decodes
// them. Row bytes follow FlashMLA "MODEL1" and the V4 report (arXiv 2606.19348).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace quire::model {

// Values are part of the wire: append only.
enum class ElementFormat : uint8_t {
  kOpaque = 0,      // anything
  kBf16 = 1,        // 2 bytes an element
  kFp16 = 2,        // 2 bytes
  kFp8E4m3 = 3,     // 1 byte
  kFp8DsMla = 4,    // V4 main row: 448 FP8 + 64 BF16 + 7 UE8M0 + 1 pad = 584 bytes
  kFp8V32Mla = 5,   // V3.2 main row: 512 FP8 + 4 FP32 + 64 BF16 = 656 bytes
  kMxfp4Index = 6,  // indexer key of 128: 64 packed + 4 UE8M0 = 68 bytes
  kFp8Index = 7,    // indexer key of 128: 128 + FP32 scale = 132 bytes
  kFp4V41 = 8,      // V4.1 main row: 512 E2M1 + one E4M3 scale per 16 = 288 bytes
  kFp32 = 9,        // 4 bytes
  kMixed = 10,      // layers of one page differ
};

std::string_view element_format_name(ElementFormat format);
std::optional<ElementFormat> element_format_from_name(std::string_view name);

}  // namespace quire::model
