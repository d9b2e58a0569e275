#include "model/layout_toml.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <optional>
#include <sstream>

#include "model/limits.h"
#include "model/toml_table.h"

namespace quire::model {

namespace {

constexpr size_t kMaxFileBytes = 1 << 20;  // a V4 layout is 2 KiB
constexpr std::array<std::string_view, 3> kKindNames = {"append", "window", "state"};
constexpr std::array<std::string_view, 4> kRuleNames = {"turn_ends", "all", "every", "none"};
constexpr std::array<std::string_view, 4> kLayoutKeys = {"name", "unit_tokens", "block_tokens",
                                                         "groups"};
constexpr std::array<std::string_view, 12> kGroupKeys = {
    "name",          "kind",          "element_format",
    "page_bytes",    "window_tokens", "shard",
    "shard_count",   "checkpoints",   "checkpoint_every_tokens",
    "replay_tokens", "replay_exact",  "layers"};
constexpr std::array<std::string_view, 6> kRunKeys = {"first",  "count", "step",
                                                      "offset", "bytes", "stride"};

Result<uint32_t> read_u32(const TomlTable& table, std::string_view key,
                          std::optional<uint64_t> fallback = std::nullopt) {
  return static_cast<uint32_t>(
      QUIRE_TRY(table.number(key, std::numeric_limits<uint32_t>::max(), fallback)));
}

Result<ElementFormat> read_element_format(const TomlTable& table) {
  const std::string name = QUIRE_TRY(table.text("element_format", "opaque"));
  const std::optional<ElementFormat> format = element_format_from_name(name);
  if (format) return *format;
  return table.wrong("unknown element_format '" + name + "'");
}

Result<void> read_run(const TomlTable& table, std::vector<LayerRange>& layers) {
  QUIRE_TRY(table.check_keys(kRunKeys));
  const uint64_t first = QUIRE_TRY(read_u32(table, "first"));
  const uint64_t count = QUIRE_TRY(table.number("count", kMaxLayersPerGroup, 1));
  const uint64_t step = QUIRE_TRY(read_u32(table, "step", 1));
  const uint64_t offset = QUIRE_TRY(table.number("offset", kMaxPageBytes));
  const uint64_t bytes = QUIRE_TRY(table.number("bytes", kMaxPageBytes));
  // Without a stride the ranges lie back to back.
  const uint64_t stride = QUIRE_TRY(table.number("stride", kMaxPageBytes, bytes));
  // Before they are listed: a run is a few bytes of a file and may name millions.
  if (count == 0 || layers.size() + count > kMaxLayersPerGroup) {
    return table.wrong("a group has 1 to " + std::to_string(kMaxLayersPerGroup) +
                       " layer ranges, runs counted out");
  }
  if (first + (count - 1) * step > std::numeric_limits<uint32_t>::max()) {
    return table.wrong("the last layer of the run is above 2^32 - 1");
  }
  for (uint64_t i = 0; i < count; ++i) {
    layers.push_back({static_cast<uint32_t>(first + i * step), offset + i * stride, bytes});
  }
  return {};
}

Result<std::vector<LayerRange>> read_layers(const TomlTable& table) {
  std::vector<LayerRange> layers;
  const auto runs =
      QUIRE_TRY(table.tables("layers", table.where() + ", layers entry", kMaxLayersPerGroup));
  for (const TomlTable& run : runs) QUIRE_TRY(read_run(run, layers));
  // A file lists runs by layer, validate() wants ranges by offset.
  std::stable_sort(layers.begin(), layers.end(),
                   [](const LayerRange& a, const LayerRange& b) { return a.offset < b.offset; });
  return layers;
}

Result<Group> read_group(const TomlTable& table) {
  QUIRE_TRY(table.check_keys(kGroupKeys));
  Group group;
  group.name = QUIRE_TRY(table.text("name"));
  group.kind = static_cast<GroupKind>(QUIRE_TRY(table.choice("kind", kKindNames)));
  group.element_format = QUIRE_TRY(read_element_format(table));
  group.page_bytes = QUIRE_TRY(table.number("page_bytes", kMaxPageBytes));
  group.window_tokens = QUIRE_TRY(read_u32(table, "window_tokens", 0));
  group.shard = QUIRE_TRY(read_u32(table, "shard", 0));
  group.shard_count = QUIRE_TRY(read_u32(table, "shard_count", 1));
  group.checkpoints =
      static_cast<CheckpointRule>(QUIRE_TRY(table.choice("checkpoints", kRuleNames, "turn_ends")));
  group.checkpoint_every_tokens = QUIRE_TRY(read_u32(table, "checkpoint_every_tokens", 0));
  group.replay.tokens = QUIRE_TRY(read_u32(table, "replay_tokens", 0));
  group.replay.exact = QUIRE_TRY(table.flag("replay_exact"));
  group.layers = QUIRE_TRY(read_layers(table));
  return group;
}

Result<Layout> read_layout(const TomlTable& table) {
  QUIRE_TRY(table.check_keys(kLayoutKeys));
  Layout layout;
  layout.name = QUIRE_TRY(table.text("name"));
  layout.unit_tokens = QUIRE_TRY(read_u32(table, "unit_tokens"));
  layout.block_tokens = QUIRE_TRY(read_u32(table, "block_tokens"));
  const std::string needed =
      "a layout needs 1 to " + std::to_string(kMaxGroups) + " [[groups]] tables";
  if (!table.has("groups")) return table.wrong(needed);
  for (const TomlTable& group : QUIRE_TRY(table.tables("groups", "group", kMaxGroups))) {
    layout.groups.push_back(QUIRE_TRY(read_group(group)));
  }
  QUIRE_TRY(validate(layout));
  return layout;
}

struct Run {
  LayerRange first;
  uint32_t count = 1;
  uint32_t step = 1;
  uint64_t stride = 0;
};

bool continues(const Run& run, const LayerRange& range) {
  return range.bytes == run.first.bytes &&
         range.layer == run.first.layer + uint64_t{run.count} * run.step &&
         range.offset == run.first.offset + run.count * run.stride;
}

// Takes the longest run that starts at the first range left. Its second range sets the steps.
Run take_run(std::vector<LayerRange>& left) {
  Run run{left.front(), 1, 1, left.front().bytes};
  std::vector<LayerRange> rest;
  for (size_t i = 1; i < left.size(); ++i) {
    const LayerRange& range = left[i];
    const bool sets_steps =
        run.count == 1 && range.bytes == run.first.bytes && range.layer >= run.first.layer;
    if (sets_steps) {
      run.step = range.layer - run.first.layer;
      run.stride = range.offset - run.first.offset;
    }
    if (continues(run, range)) {
      ++run.count;
    } else {
      rest.push_back(range);
    }
  }
  left = std::move(rest);
  return run;
}

void write_run(const Run& run, std::ostream& out) {
  out << "  {first = " << run.first.layer;
  if (run.count > 1) out << ", count = " << run.count;
  if (run.step != 1 && run.count > 1) out << ", step = " << run.step;
  out << ", offset = " << run.first.offset << ", bytes = " << run.first.bytes;
  if (run.stride != run.first.bytes && run.count > 1) out << ", stride = " << run.stride;
  out << "},\n";
}

void write_group(const Group& group, std::ostream& out) {
  out << "\n[[groups]]\n";
  out << "name = " << toml_quoted(group.name) << '\n';
  out << "kind = \"" << group_kind_name(group.kind) << "\"\n";
  out << "element_format = \"" << element_format_name(group.element_format) << "\"\n";
  out << "page_bytes = " << group.page_bytes << '\n';
  if (group.window_tokens != 0) out << "window_tokens = " << group.window_tokens << '\n';
  if (group.shard_count != 1) {
    out << "shard = " << group.shard << "\nshard_count = " << group.shard_count << '\n';
  }
  if (group.kind != GroupKind::kAppend || group.checkpoints != CheckpointRule::kTurnEnds) {
    out << "checkpoints = \"" << checkpoint_rule_name(group.checkpoints) << "\"\n";
  }
  if (group.checkpoints == CheckpointRule::kEvery) {
    out << "checkpoint_every_tokens = " << group.checkpoint_every_tokens << '\n';
  }
  if (group.replay.tokens != 0) out << "replay_tokens = " << group.replay.tokens << '\n';
  if (group.replay.exact) out << "replay_exact = true\n";
  if (group.layers.empty()) return;
  out << "layers = [\n";
  std::vector<LayerRange> left = group.layers;
  while (!left.empty()) write_run(take_run(left), out);
  out << "]\n";
}

}  // namespace

Result<Layout> parse_layout_toml(std::string_view text) {
  return read_layout(QUIRE_TRY(TomlTable::parse(text, "layout")));
}

Result<Layout> load_layout_file(const std::string& path) {
  Result<Layout> layout = parse_layout_toml(QUIRE_TRY(read_text_file(path, kMaxFileBytes)));
  if (layout.ok()) return layout;
  return make_error(layout.code(), path + ": " + layout.error().text);
}

std::string layout_to_toml(const Layout& layout) {
  std::ostringstream out;
  out << "name = " << toml_quoted(layout.name) << '\n';
  out << "unit_tokens = " << layout.unit_tokens << '\n';
  out << "block_tokens = " << layout.block_tokens << '\n';
  for (const Group& group : layout.groups) write_group(group, out);
  return std::move(out).str();
}

std::string_view group_kind_name(GroupKind kind) {
  const auto index = static_cast<size_t>(kind);
  return index < kKindNames.size() ? kKindNames[index] : "unknown";
}

std::string_view checkpoint_rule_name(CheckpointRule rule) {
  const auto index = static_cast<size_t>(rule);
  return index < kRuleNames.size() ? kRuleNames[index] : "unknown";
}

}  // namespace quire::model
