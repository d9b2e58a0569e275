// Layouts, as files (TOML) and as clients register them (bytes): whatever is accepted has a plan,
// and comes out of its own text and its own encoding unchanged.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/check.h"
#include "model/layout.h"
#include "model/layout_toml.h"
#include "model/page_plan.h"

namespace {

using quire::model::FillKind;
using quire::model::Layout;

void look_at(const Layout& layout) {
  QUIRE_CHECK(quire::model::validate(layout).ok());
  const auto decoded = quire::model::decode_layout(quire::model::encode(layout));
  QUIRE_CHECK(decoded.ok() && *decoded == layout);
  const auto parsed = quire::model::parse_layout_toml(quire::model::layout_to_toml(layout));
  QUIRE_CHECK(parsed.ok() && *parsed == layout);
  for (const uint32_t end : {layout.block_tokens, layout.block_tokens + layout.unit_tokens}) {
    for (const FillKind kind : {FillKind::kSpan, FillKind::kCheckpoint}) {
      const auto plan = quire::model::plan_pages(layout, kind, end, 0);
      for (const auto& page : plan.pages) {
        QUIRE_CHECK(page.staging_offset + page.bytes <= plan.staging_bytes);
      }
    }
  }
}

}  // namespace

// The first byte says which form the rest is in.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const bool is_text = (data[0] & 1) != 0;
  if (is_text) {
    const auto layout = quire::model::parse_layout_toml(
        std::string_view(reinterpret_cast<const char*>(data + 1), size - 1));
    if (layout.ok()) look_at(*layout);
  } else {
    const auto layout =
        quire::model::decode_layout({reinterpret_cast<const std::byte*>(data + 1), size - 1});
    if (layout.ok()) look_at(*layout);
  }
  return 0;
}
