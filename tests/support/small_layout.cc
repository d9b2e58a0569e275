#include "tests/support/small_layout.h"

#include <string>

namespace quire::tests {

namespace {

model::Group group(const std::string& name, model::GroupKind kind, uint64_t page_bytes) {
  model::Group made;
  made.name = name;
  made.kind = kind;
  made.page_bytes = page_bytes;
  if (kind == model::GroupKind::kWindow) made.window_tokens = 4;
  made.layers = {{.layer = 0, .offset = 0, .bytes = page_bytes / 2},
                 {.layer = 1, .offset = page_bytes / 2, .bytes = page_bytes / 2}};
  return made;
}

}  // namespace

model::Layout small_hybrid_layout() {
  model::Layout layout;
  layout.name = "small-hybrid";
  layout.unit_tokens = 4;
  layout.block_tokens = 8;
  layout.groups = {group("global", model::GroupKind::kAppend, 10'002),
                   group("swa", model::GroupKind::kWindow, 5'000),
                   group("state", model::GroupKind::kState, 1'234)};
  return layout;
}

model::Layout small_append_layout() {
  model::Layout layout;
  layout.name = "small-append";
  layout.unit_tokens = 4;
  layout.block_tokens = 4;
  layout.groups = {group("kv", model::GroupKind::kAppend, 4'096)};
  return layout;
}

model::Layout small_sharded_layout() {
  model::Layout layout = small_hybrid_layout();
  layout.name = "small-sharded";
  for (uint32_t shard = 0; shard < 2; ++shard) {
    for (size_t g = 0; g < 3; ++g) {
      if (shard == 1) layout.groups.push_back(layout.groups[g]);
      model::Group& made = layout.groups[shard * 3 + g];
      made.shard = shard;
      made.shard_count = 2;
    }
  }
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    layout.groups[g].name += "." + std::to_string(g / 3);
  }
  return layout;
}

model::Layout small_packing_layout() {
  model::Layout layout;
  layout.name = "small-packing";
  layout.unit_tokens = 4;
  layout.block_tokens = 8;
  layout.groups = {group("global", model::GroupKind::kAppend, 36'002),
                   group("index", model::GroupKind::kAppend, 5'000),
                   group("swa", model::GroupKind::kWindow, 25'000),
                   group("state", model::GroupKind::kState, 1'234)};
  layout.groups[0].element_format = model::ElementFormat::kBf16;
  layout.groups[2].element_format = model::ElementFormat::kBf16;
  return layout;
}

model::Layout small_packing_append_layout() {
  model::Layout layout = small_packing_layout();
  layout.name = "small-packing-append";
  layout.groups.resize(2);
  return layout;
}

}  // namespace quire::tests
