#include "client/quirectl/layout_output.h"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>

#include "client/quirectl/answer_output.h"
#include "model/check.h"
#include "model/hex_text.h"
#include "model/layout_toml.h"

namespace quire::client {

namespace {

using model::Group;
using model::GroupKind;
using model::Layout;

std::string checkpoint_text(const Group& group) {
  if (group.kind == GroupKind::kAppend) return "-";
  std::string text(model::checkpoint_rule_name(group.checkpoints));
  if (group.checkpoint_every_tokens != 0)
    text += ":" + std::to_string(group.checkpoint_every_tokens);
  return text;
}

std::string replay_text(const Group& group) {
  if (group.replay.tokens == 0) return "-";
  return std::to_string(group.replay.tokens) + (group.replay.exact ? " exact" : " approximate");
}

struct Column {
  const char* title;
  int width;
};
constexpr Column kColumns[] = {{"KIND", 8},   {"FORMAT", 13}, {"PAGE BYTES", 12},  {"RANGES", 8},
                               {"WINDOW", 8}, {"SHARD", 7},   {"CHECKPOINTS", 13}, {"REPLAY", 0}};

size_t name_width(const Layout& layout) {
  size_t width = 5;
  for (const Group& group : layout.groups) width = std::max(width, group.name.size());
  return width + 2;
}

void write_row(const Group& group, size_t name_columns, std::ostream& out) {
  const std::string cells[] = {
      std::string(model::group_kind_name(group.kind)),
      std::string(model::element_format_name(group.element_format)),
      std::to_string(group.page_bytes),
      std::to_string(group.layers.size()),
      group.window_tokens == 0 ? "-" : std::to_string(group.window_tokens),
      std::to_string(group.shard) + "/" + std::to_string(group.shard_count),
      checkpoint_text(group),
      replay_text(group)};
  out << std::setw(static_cast<int>(name_columns)) << group.name;
  for (size_t i = 0; i < std::size(cells); ++i) out << std::setw(kColumns[i].width) << cells[i];
  out << '\n';
}

uint64_t total_page_bytes(const Layout& layout, model::GroupMask groups) {
  uint64_t bytes = 0;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    if ((groups >> g & 1) != 0) bytes += layout.groups[g].page_bytes;
  }
  return bytes;
}

void write_group_json(const Group& group, std::ostream& out) {
  out << "{\"name\":" << json_text(group.name) << ",\"kind\":\""
      << model::group_kind_name(group.kind) << "\",\"element_format\":\""
      << model::element_format_name(group.element_format)
      << "\",\"page_bytes\":" << group.page_bytes << ",\"window_tokens\":" << group.window_tokens
      << ",\"shard\":" << group.shard << ",\"shard_count\":" << group.shard_count
      << ",\"checkpoints\":\"" << model::checkpoint_rule_name(group.checkpoints)
      << "\",\"checkpoint_every_tokens\":" << group.checkpoint_every_tokens
      << ",\"replay_tokens\":" << group.replay.tokens
      << ",\"replay_exact\":" << (group.replay.exact ? "true" : "false") << ",\"layers\":[";
  const char* separator = "";
  for (const model::LayerRange& range : group.layers) {
    out << separator << "{\"layer\":" << range.layer << ",\"offset\":" << range.offset
        << ",\"bytes\":" << range.bytes << '}';
    separator = ",";
  }
  out << "]}";
}

}  // namespace

std::string json_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

void write_layout_table(const Layout& layout, std::ostream& out) {
  const std::ios_base::fmtflags flags = out.flags();
  const uint64_t span_bytes = total_page_bytes(layout, model::append_groups(layout));
  const auto line = [&out](const char* title) -> std::ostream& {
    return out << std::left << std::setw(20) << title;
  };
  line("layout") << layout.name << '\n';
  line("digest") << model::hex_text(model::layout_digest(layout).bytes) << '\n';
  line("unit tokens") << layout.unit_tokens << '\n';
  line("block tokens") << layout.block_tokens << '\n';
  line("span bytes") << span_bytes << '\n';
  line("checkpoint bytes") << total_page_bytes(layout, model::checkpoint_groups(layout)) << '\n';
  line("bytes of 1M tokens") << span_bytes * ((1 << 20) / layout.block_tokens) << "\n\n";
  const size_t name_columns = name_width(layout);
  out << std::setw(static_cast<int>(name_columns)) << "GROUP";
  for (const Column& column : kColumns) out << std::setw(column.width) << column.title;
  out << '\n';
  for (const Group& group : layout.groups) write_row(group, name_columns, out);
  out.flags(flags);
}

void write_layout_json(const Layout& layout, std::ostream& out) {
  out << "{\"schema\":\"quire.layout.v1\",\"name\":" << json_text(layout.name) << ",\"digest\":\""
      << model::hex_text(model::layout_digest(layout).bytes)
      << "\",\"unit_tokens\":" << layout.unit_tokens << ",\"block_tokens\":" << layout.block_tokens
      << ",\"groups\":[";
  const char* separator = "";
  for (const Group& group : layout.groups) {
    out << separator;
    write_group_json(group, out);
    separator = ",";
  }
  out << "]}\n";
}

void write_layout_csv(const model::Layout& layout, std::ostream& out) {
  std::ostringstream document;
  write_layout_json(layout, document);
  const auto rows = answer_csv(document.str(), {.list = "groups"});
  QUIRE_CHECK(rows.ok());  // it was written here
  out << *rows;
}

}  // namespace quire::client
