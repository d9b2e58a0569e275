#include "model/element_format.h"

#include <array>

namespace quire::model {

namespace {

// Index = value of the enumerator. Names appear in layout files: append only.
constexpr std::array<std::string_view, 11> kNames = {
    "opaque",      "bf16",      "fp16",    "fp8_e4m3", "fp8_ds_mla", "fp8_v32_mla",
    "mxfp4_index", "fp8_index", "fp4_v41", "fp32",     "mixed",
};
static_assert(kNames.size() == static_cast<size_t>(ElementFormat::kMixed) + 1);

}  // namespace

std::string_view element_format_name(ElementFormat format) {
  const auto index = static_cast<size_t>(format);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::optional<ElementFormat> element_format_from_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<ElementFormat>(i);
  }
  return std::nullopt;
}

}  // namespace quire::model
