// The only file that includes toml++ for layouts. toml++ is told to return errors, not to throw.
//
// Its assertions are switched off: in 3.3 two of them ("[[,", "[}") are wrong about malformed text
// that the lines behind them then report as an error. Without NDEBUG, so that they do not become
// assumptions of the optimiser either.
#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expression) static_cast<void>(0)
#undef NDEBUG
#include "model/layout_toml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>

#include "model/limits.h"
#include "model/nearest_name.h"

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

Error bad_file(std::string text) { return make_error(Errc::kInvalidArgument, std::move(text)); }

// A table with the words to name it in errors, such as "group 2".
struct Table {
  const toml::table& values;
  std::string where;
};

// A key with a slip would be a default without a word: unknown ones are errors.
Result<void> check_keys(const Table& table, std::span<const std::string_view> known) {
  for (const auto& [key, value] : table.values) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    return bad_file(table.where + ": unknown key '" + std::string(key.str()) + "'; nearest is '" +
                    std::string(nearest_name(key.str(), known)) + "'");
  }
  return {};
}

// Reads one key. No fallback: the key must be there.
Result<uint64_t> read_number(const Table& table, std::string_view key, uint64_t limit,
                             std::optional<uint64_t> fallback = std::nullopt) {
  const toml::node* node = table.values.get(key);
  if (node == nullptr && fallback) return *fallback;
  if (node == nullptr) return bad_file(table.where + ": missing key '" + std::string(key) + "'");
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < 0 || static_cast<uint64_t>(number->get()) > limit) {
    return bad_file(table.where + ": '" + std::string(key) + "' must be a whole number from 0 to " +
                    std::to_string(limit));
  }
  return static_cast<uint64_t>(number->get());
}

Result<uint32_t> read_u32(const Table& table, std::string_view key,
                          std::optional<uint64_t> fallback = std::nullopt) {
  return static_cast<uint32_t>(
      QUIRE_TRY(read_number(table, key, std::numeric_limits<uint32_t>::max(), fallback)));
}

Result<std::string> read_text(const Table& table, std::string_view key,
                              std::optional<std::string> fallback = std::nullopt) {
  const toml::node* node = table.values.get(key);
  if (node == nullptr && fallback) return *fallback;
  if (node == nullptr) return bad_file(table.where + ": missing key '" + std::string(key) + "'");
  const auto* text = node->as_string();
  if (text == nullptr) {
    return bad_file(table.where + ": '" + std::string(key) + "' must be a text in quotes");
  }
  return text->get();
}

Result<bool> read_flag(const Table& table, std::string_view key) {
  const toml::node* node = table.values.get(key);
  if (node == nullptr) return false;
  const auto* flag = node->as_boolean();
  if (flag == nullptr) {
    return bad_file(table.where + ": '" + std::string(key) + "' must be true or false");
  }
  return flag->get();
}

// Position of a text among `names`.
Result<size_t> read_choice(const Table& table, std::string_view key,
                           std::span<const std::string_view> names,
                           std::optional<std::string> fallback = std::nullopt) {
  const std::string text = QUIRE_TRY(read_text(table, key, std::move(fallback)));
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) {
    return bad_file(table.where + ": unknown " + std::string(key) + " '" + text +
                    "'; nearest is '" + std::string(nearest_name(text, names)) + "'");
  }
  return static_cast<size_t>(found - names.begin());
}

Result<ElementFormat> read_element_format(const Table& table) {
  const std::string name = QUIRE_TRY(read_text(table, "element_format", "opaque"));
  const std::optional<ElementFormat> format = element_format_from_name(name);
  if (format) return *format;
  return bad_file(table.where + ": unknown element_format '" + name + "'");
}

Result<void> read_run(const Table& table, std::vector<LayerRange>& layers) {
  QUIRE_TRY(check_keys(table, kRunKeys));
  const uint64_t first = QUIRE_TRY(read_u32(table, "first"));
  const uint64_t count = QUIRE_TRY(read_number(table, "count", kMaxLayersPerGroup, 1));
  const uint64_t step = QUIRE_TRY(read_u32(table, "step", 1));
  const uint64_t offset = QUIRE_TRY(read_number(table, "offset", kMaxPageBytes));
  const uint64_t bytes = QUIRE_TRY(read_number(table, "bytes", kMaxPageBytes));
  // Without a stride the ranges lie back to back.
  const uint64_t stride = QUIRE_TRY(read_number(table, "stride", kMaxPageBytes, bytes));
  // Before they are listed: a run is a few bytes of a file and may name millions.
  if (count == 0 || layers.size() + count > kMaxLayersPerGroup) {
    return bad_file(table.where + ": a group has 1 to " + std::to_string(kMaxLayersPerGroup) +
                    " layer ranges, runs counted out");
  }
  if (first + (count - 1) * step > std::numeric_limits<uint32_t>::max()) {
    return bad_file(table.where + ": the last layer of the run is above 2^32 - 1");
  }
  for (uint64_t i = 0; i < count; ++i) {
    layers.push_back({static_cast<uint32_t>(first + i * step), offset + i * stride, bytes});
  }
  return {};
}

Result<std::vector<LayerRange>> read_layers(const Table& table) {
  std::vector<LayerRange> layers;
  const toml::node* node = table.values.get("layers");
  if (node == nullptr) return layers;
  const toml::array* runs = node->as_array();
  for (size_t i = 0; runs != nullptr && i < runs->size(); ++i) {
    const toml::table* run = runs->get(i)->as_table();
    const std::string where = table.where + ", layers entry " + std::to_string(i);
    if (run == nullptr) return bad_file(where + ": must be a table {first = ..., ...}");
    QUIRE_TRY(read_run({*run, where}, layers));
  }
  if (runs == nullptr) return bad_file(table.where + ": 'layers' must be an array");
  // A file lists runs by layer, validate() wants ranges by offset.
  std::stable_sort(layers.begin(), layers.end(),
                   [](const LayerRange& a, const LayerRange& b) { return a.offset < b.offset; });
  return layers;
}

Result<Group> read_group(const Table& table) {
  QUIRE_TRY(check_keys(table, kGroupKeys));
  Group group;
  group.name = QUIRE_TRY(read_text(table, "name"));
  group.kind = static_cast<GroupKind>(QUIRE_TRY(read_choice(table, "kind", kKindNames)));
  group.element_format = QUIRE_TRY(read_element_format(table));
  group.page_bytes = QUIRE_TRY(read_number(table, "page_bytes", kMaxPageBytes));
  group.window_tokens = QUIRE_TRY(read_u32(table, "window_tokens", 0));
  group.shard = QUIRE_TRY(read_u32(table, "shard", 0));
  group.shard_count = QUIRE_TRY(read_u32(table, "shard_count", 1));
  group.checkpoints = static_cast<CheckpointRule>(
      QUIRE_TRY(read_choice(table, "checkpoints", kRuleNames, "turn_ends")));
  group.checkpoint_every_tokens = QUIRE_TRY(read_u32(table, "checkpoint_every_tokens", 0));
  group.replay.tokens = QUIRE_TRY(read_u32(table, "replay_tokens", 0));
  group.replay.exact = QUIRE_TRY(read_flag(table, "replay_exact"));
  group.layers = QUIRE_TRY(read_layers(table));
  return group;
}

Result<Layout> read_layout(const Table& table) {
  QUIRE_TRY(check_keys(table, kLayoutKeys));
  Layout layout;
  layout.name = QUIRE_TRY(read_text(table, "name"));
  layout.unit_tokens = QUIRE_TRY(read_u32(table, "unit_tokens"));
  layout.block_tokens = QUIRE_TRY(read_u32(table, "block_tokens"));
  const toml::array* groups = table.values.get_as<toml::array>("groups");
  // Before they are read: the file's length must not decide how long that takes.
  if (groups == nullptr || groups->size() > kMaxGroups) {
    return bad_file("a layout needs 1 to " + std::to_string(kMaxGroups) + " [[groups]] tables");
  }
  for (size_t i = 0; i < groups->size(); ++i) {
    const toml::table* group = groups->get(i)->as_table();
    const std::string where = "group " + std::to_string(i);
    if (group == nullptr) return bad_file(where + ": must be a [[groups]] table");
    layout.groups.push_back(QUIRE_TRY(read_group({*group, where})));
  }
  QUIRE_TRY(validate(layout));
  return layout;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
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
  out << "name = " << quoted(group.name) << '\n';
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
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return bad_file("line " + std::to_string(parsed.error().source().begin.line) + ": " +
                    std::string(parsed.error().description()));
  }
  return read_layout({parsed.table(), "layout"});
}

Result<Layout> load_layout_file(const std::string& path) {
  const auto close = [](FILE* file) { std::fclose(file); };
  const std::unique_ptr<FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr) return errno_error(path);
  std::string text(kMaxFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return errno_error(path);
  if (text.size() > kMaxFileBytes) return bad_file(path + ": larger than 1 MiB, so no layout file");
  Result<Layout> layout = parse_layout_toml(text);
  if (layout.ok()) return layout;
  return make_error(layout.code(), path + ": " + layout.error().text);
}

std::string layout_to_toml(const Layout& layout) {
  std::ostringstream out;
  out << "name = " << quoted(layout.name) << '\n';
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
