#include "client/engines/reference/reference_layout.h"

#include <span>
#include <string>

namespace quire::client {

namespace {

std::vector<model::LayerRange> to_layers(std::span<const reference::PageRange> ranges) {
  std::vector<model::LayerRange> layers;
  for (const reference::PageRange& range : ranges) {
    layers.push_back({.layer = range.layer, .offset = range.offset, .bytes = range.bytes});
  }
  return layers;
}

model::Group make_group(const std::string& name, model::GroupKind kind, uint64_t page_bytes,
                        std::span<const reference::PageRange> ranges) {
  model::Group group;
  group.name = name;
  group.kind = kind;
  group.element_format = model::ElementFormat::kMixed;
  group.page_bytes = page_bytes;
  group.layers = to_layers(ranges);
  return group;
}

}  // namespace

model::Layout reference_layout(const reference::KvGeometry& geometry, uint32_t shard_count) {
  model::Layout layout;
  layout.name = "reference-" + std::to_string(shard_count);
  layout.unit_tokens = geometry.unit_tokens();
  layout.block_tokens = geometry.block_tokens();
  for (uint32_t shard = 0; shard < shard_count; ++shard) {
    const std::string suffix = "." + std::to_string(shard);
    std::vector<model::Group> groups = {
        make_group("global" + suffix, model::GroupKind::kAppend, geometry.append_page_bytes(),
                   geometry.append_ranges()),
        make_group("window" + suffix, model::GroupKind::kWindow, geometry.window_page_bytes(),
                   geometry.window_ranges()),
        make_group("state" + suffix, model::GroupKind::kState, geometry.state_page_bytes(),
                   geometry.state_ranges())};
    groups[1].window_tokens = geometry.window_tokens();
    for (model::Group& group : groups) {
      group.shard = shard;
      group.shard_count = shard_count;
      layout.groups.push_back(std::move(group));
    }
  }
  return layout;
}

}  // namespace quire::client
