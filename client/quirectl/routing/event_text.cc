#include "client/quirectl/routing/event_text.h"

#include <array>
#include <string_view>

#include "client/quirectl/meter/field_text.h"
#include "model/hex_text.h"
#include "model/ids.h"
#include "model/ring_frames.h"
#include "model/wire.h"

namespace quire::client {

namespace {

using model::EventKind;
using model::EventRecord;

constexpr std::string_view kSchema = "quire.event.v1";
constexpr size_t kShortHash = 12;

std::string_view kind_name(EventKind kind) {
  switch (kind) {
    case EventKind::kStart:
      return "start";
    case EventKind::kRoot:
      return "root";
    case EventKind::kStored:
      return "stored";
    case EventKind::kRemoved:
      return "removed";
    case EventKind::kCleared:
      return "cleared";
    case EventKind::kGap:
      return "gap";
    case EventKind::kSnapshotBegin:
      return "snapshot_begin";
    case EventKind::kHeld:
      return "held";
    case EventKind::kSnapshotEnd:
      return "snapshot_end";
    case EventKind::kReadable:
      return "readable";
  }
  return "unknown";
}

bool is_of_object(EventKind kind) {
  return kind == EventKind::kStored || kind == EventKind::kRemoved || kind == EventKind::kHeld;
}

// "ram,ssd"; of JSON: "\"ram\",\"ssd\"".
std::string tier_names(uint8_t tiers, std::string_view quote) {
  std::string text;
  for (const model::TierId tier : model::kTiers) {
    if ((tiers & model::tier_bit(tier)) == 0) continue;
    if (!text.empty()) text += ',';
    text.append(quote).append(model::tier_name(tier)).append(quote);
  }
  return text;
}

std::string_view object_name(const EventRecord& record) {
  return record.fill == static_cast<uint8_t>(model::FillKind::kSpan) ? "span" : "checkpoint";
}

std::string_view name_of(const model::WireName& wire) {
  const auto name = model::from_wire_name(wire);
  return name.ok() ? *name : std::string_view("?");
}

// "uid:1000 tenant model/7"; "-" for the empty tenant.
std::string root_names(const Event& event) {
  if (event.root == nullptr) return "uid:" + std::to_string(event.record->uid);
  std::string text(name_of(event.root->domain));
  const std::string_view tenant = name_of(event.root->tenant);
  text.append(" ").append(tenant.empty() ? std::string_view("-") : tenant);
  text.append(" ").append(name_of(event.root->namespace_name));
  return text + "/" + std::to_string(event.root->weights_epoch);
}

void append_padded(std::string& line, std::string_view text, size_t width) {
  line.append(text).append(text.size() < width ? width - text.size() : 0, ' ').append("  ");
}

class JsonLine {
 public:
  JsonLine() { text_ = "{\"schema\":\"" + std::string(kSchema) + '"'; }
  void add(std::string_view name, std::string_view value) {
    key(name);
    append_json_text(text_, value);
  }
  void add(std::string_view name, uint64_t value) {
    key(name);
    append_number(text_, value);
  }
  void add_list(std::string_view name, std::string_view items) {
    key(name);
    text_.append("[").append(items).append("]");
  }
  std::string end() { return text_ + "}\n"; }

 private:
  void key(std::string_view name) { text_.append(",\"").append(name).append("\":"); }
  std::string text_;
};

void add_root(JsonLine& line, const model::EventRoot& root) {
  line.add("domain", name_of(root.domain));
  line.add("tenant", name_of(root.tenant));
  line.add("namespace", name_of(root.namespace_name));
  line.add("weights_epoch", root.weights_epoch);
  line.add("layout", name_of(root.layout));
}

std::string group_list(uint64_t groups) {
  std::string text;
  for (size_t group = 0; group < model::kMaxGroups; ++group) {
    if ((groups >> group & 1) == 0) continue;
    text += (text.empty() ? "" : ",") + std::to_string(group);
  }
  return text;
}

void add_object(JsonLine& line, const EventRecord& record) {
  line.add("object", object_name(record));
  line.add("tokens", record.tokens);
  line.add("parent_tokens", record.parent_tokens);
  line.add("hash", model::hex_text(record.hash.bytes));
  line.add("parent", model::hex_text(record.parent.bytes));
  line.add_list("groups", group_list(record.groups));
}

}  // namespace

std::string event_line(const Event& event, bool full) {
  const EventRecord& record = *event.record;
  const auto hash = [&](const model::Hash256& of) {
    return full ? model::hex_text(of.bytes) : model::hex_text(of.bytes).substr(0, kShortHash);
  };
  std::string line;
  append_padded(line,
                event.kind == EventKind::kRoot || event.kind == EventKind::kReadable
                    ? std::string()
                    : std::to_string(record.sequence),
                8);
  append_padded(line, kind_name(event.kind), 8);
  if (is_of_object(event.kind)) {
    append_padded(line, tier_names(record.tiers, ""), 7);
    append_padded(line, object_name(record), 10);
    append_padded(line, std::to_string(record.tokens), 8);
    line += hash(record.hash) + " behind " + hash(record.parent) + "  " + root_names(event);
  } else if (event.kind == EventKind::kRoot || event.kind == EventKind::kCleared) {
    line += hash(record.hash) + "  " + root_names(event);
  } else if (event.kind == EventKind::kGap) {
    line += record.sequence == 0 ? "of what was before nothing is known"
                                 : "to " + std::to_string(record.last) + ": not known";
  } else if (event.kind == EventKind::kStart) {
    line += "epoch " + std::to_string(record.count);
  } else if (event.kind == EventKind::kReadable) {
    line += tier_names(record.tiers, "");
  } else if (event.kind == EventKind::kSnapshotEnd) {
    line += std::to_string(record.count) + " objects";
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

std::string event_json(const Event& event) {
  const EventRecord& record = *event.record;
  JsonLine line;
  line.add("kind", kind_name(event.kind));
  line.add("time_us", static_cast<uint64_t>(record.time_us));
  if (event.kind != EventKind::kRoot && event.kind != EventKind::kReadable) {
    line.add("sequence", record.sequence);
  }
  if (is_of_object(event.kind) || event.kind == EventKind::kReadable) {
    line.add_list("tiers", tier_names(record.tiers, "\""));
  }
  if (is_of_object(event.kind)) add_object(line, record);
  if (event.kind == EventKind::kRoot || event.kind == EventKind::kCleared) {
    line.add("hash", model::hex_text(record.hash.bytes));
  }
  if (event.kind == EventKind::kGap) line.add("last", record.last);
  if (event.kind == EventKind::kStart) line.add("epoch", record.count);
  if (event.kind == EventKind::kSnapshotEnd) line.add("objects", record.count);
  if (record.root != 0) line.add("root", record.root);
  if (event.root != nullptr) add_root(line, *event.root);
  if (event.kind == EventKind::kRoot && event.root != nullptr) {
    line.add("layout_digest", model::hex_text(event.root->layout_digest.bytes));
    line.add("unit_tokens", event.root->unit_tokens);
    line.add("block_tokens", event.root->block_tokens);
  }
  return line.end();
}

}  // namespace quire::client
