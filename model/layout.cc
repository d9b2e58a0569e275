#include "model/layout.h"

#include <algorithm>

#include "model/limits.h"

namespace quire::model {

namespace {

constexpr uint32_t kMaxShards = kMaxGroups;  // each shard is a group of its own

Error invalid(std::string text) { return make_error(Errc::kInvalidLayout, std::move(text)); }

Error invalid_group(const Group& group, const std::string& text) {
  return invalid("group '" + group.name + "': " + text);
}

// Names travel in 64-byte zero-padded fields, in files, in metrics and on terminals.
bool is_valid_name(std::string_view name) {
  const auto printable = [](char c) { return c >= 0x20 && c <= 0x7e; };
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), printable);
}

Error bad_name(const std::string& whose) {
  return invalid(whose + " must be 1 to " + std::to_string(kMaxNameBytes) +
                 " printable ASCII characters");
}

Result<void> validate_tokens(const Layout& layout) {
  const auto in_bounds = [](uint32_t tokens) { return tokens > 0 && tokens <= kMaxUnitTokens; };
  if (!in_bounds(layout.unit_tokens)) {
    return invalid("unit_tokens is " + std::to_string(layout.unit_tokens) + "; give 1 to " +
                   std::to_string(kMaxUnitTokens));
  }
  if (!in_bounds(layout.block_tokens)) {
    return invalid("block_tokens is " + std::to_string(layout.block_tokens) + "; give 1 to " +
                   std::to_string(kMaxUnitTokens));
  }
  if (layout.block_tokens % layout.unit_tokens != 0) {
    return invalid("block_tokens " + std::to_string(layout.block_tokens) +
                   " must be a multiple of unit_tokens " + std::to_string(layout.unit_tokens));
  }
  return {};
}

Result<void> validate_kind(const Group& group) {
  if (group.kind > GroupKind::kState) {
    return invalid_group(group, "unknown kind " + std::to_string(static_cast<int>(group.kind)) +
                                    "; known are append (0), window (1), state (2)");
  }
  if (group.element_format > ElementFormat::kMixed) {
    return invalid_group(group, "unknown element format " +
                                    std::to_string(static_cast<int>(group.element_format)) +
                                    "; use opaque (0) for a format that Quire has no name for");
  }
  const bool is_window = group.kind == GroupKind::kWindow;
  if (is_window && group.window_tokens == 0) {
    return invalid_group(group, "a window group needs window_tokens above 0");
  }
  if (!is_window && group.window_tokens != 0) {
    return invalid_group(group, "window_tokens is for window groups only; set it to 0");
  }
  return {};
}

Result<void> validate_checkpoints(const Layout& layout, const Group& group) {
  if (group.checkpoints > CheckpointRule::kNone) {
    return invalid_group(group, "unknown checkpoint rule " +
                                    std::to_string(static_cast<int>(group.checkpoints)) +
                                    "; known are turn_ends (0), all (1), every (2), none (3)");
  }
  const uint32_t every = group.checkpoint_every_tokens;
  if (group.checkpoints != CheckpointRule::kEvery && every != 0) {
    return invalid_group(group, "checkpoint_every_tokens is for the rule 'every'; set it to 0");
  }
  if (group.checkpoints == CheckpointRule::kEvery &&
      (every == 0 || every % layout.unit_tokens != 0)) {
    return invalid_group(group, "checkpoint_every_tokens is " + std::to_string(every) +
                                    "; give a multiple of unit_tokens " +
                                    std::to_string(layout.unit_tokens) + " above 0");
  }
  if (group.kind == GroupKind::kAppend && group.replay.tokens != 0) {
    return invalid_group(group, "replay is for window and state groups; set it to 0");
  }
  return {};
}

Result<void> validate_sizes(const Group& group) {
  if (group.page_bytes == 0 || group.page_bytes > kMaxPageBytes) {
    return invalid_group(group, "page_bytes is " + std::to_string(group.page_bytes) +
                                    "; give 1 to " + std::to_string(kMaxPageBytes) +
                                    ", if need be by splitting layers into more groups");
  }
  if (group.shard_count == 0 || group.shard_count > kMaxShards) {
    return invalid_group(group, "shard_count is " + std::to_string(group.shard_count) +
                                    "; give 1 to " + std::to_string(kMaxShards));
  }
  if (group.shard >= group.shard_count) {
    return invalid_group(group, "shard " + std::to_string(group.shard) +
                                    " must be below shard_count " +
                                    std::to_string(group.shard_count));
  }
  return {};
}

// Gaps between ranges are padding and allowed.
Result<void> validate_layers(const Group& group) {
  if (group.layers.size() > kMaxLayersPerGroup) {
    return invalid_group(group, std::to_string(group.layers.size()) + " layer ranges; at most " +
                                    std::to_string(kMaxLayersPerGroup) + " are allowed");
  }
  uint64_t end = 0;  // of the range before
  for (size_t i = 0; i < group.layers.size(); ++i) {
    const LayerRange& range = group.layers[i];
    const std::string which = "layer range " + std::to_string(i);
    if (range.bytes == 0) return invalid_group(group, which + " is empty; leave it out");
    // Subtracting instead of adding: offset + bytes may pass 2^64.
    if (range.bytes > group.page_bytes || range.offset > group.page_bytes - range.bytes) {
      return invalid_group(group,
                           which + " ends behind page_bytes " + std::to_string(group.page_bytes));
    }
    if (range.offset < end) {
      return invalid_group(group, which + " starts at " + std::to_string(range.offset) +
                                      ", before the end of the one before it (" +
                                      std::to_string(end) +
                                      "); order ranges by offset, without overlap");
    }
    end = range.offset + range.bytes;
  }
  return {};
}

Result<void> validate_group(const Layout& layout, size_t index) {
  const Group& group = layout.groups[index];
  if (!is_valid_name(group.name)) return bad_name("name of group " + std::to_string(index));
  for (size_t i = 0; i < index; ++i) {
    if (layout.groups[i].name == group.name) {
      return invalid_group(group, "groups " + std::to_string(i) + " and " + std::to_string(index) +
                                      " share this name; give each its own");
    }
  }
  QUIRE_TRY(validate_kind(group));
  QUIRE_TRY(validate_checkpoints(layout, group));
  QUIRE_TRY(validate_sizes(group));
  return validate_layers(group);
}

template <typename Predicate>
GroupMask groups_where(const Layout& layout, Predicate predicate) {
  GroupMask mask = 0;
  for (size_t g = 0; g < layout.groups.size() && g < kMaxGroups; ++g) {
    if (predicate(layout.groups[g])) mask |= GroupMask{1} << g;
  }
  return mask;
}

}  // namespace

GroupMask append_groups(const Layout& layout) {
  return groups_where(layout, [](const Group& group) { return group.kind == GroupKind::kAppend; });
}

GroupMask checkpoint_groups(const Layout& layout) {
  return groups_where(layout, [](const Group& group) {
    return group.kind != GroupKind::kAppend && group.checkpoints != CheckpointRule::kNone;
  });
}

bool needs_checkpoint(const Layout& layout) { return checkpoint_groups(layout) != 0; }

Result<void> validate(const Layout& layout) {
  if (!is_valid_name(layout.name)) return bad_name("name of the layout");
  QUIRE_TRY(validate_tokens(layout));
  if (layout.groups.empty() || layout.groups.size() > kMaxGroups) {
    return invalid("a layout has 1 to " + std::to_string(kMaxGroups) + " groups, not " +
                   std::to_string(layout.groups.size()));
  }
  // After the count: each name is compared with all before it.
  for (size_t i = 0; i < layout.groups.size(); ++i) QUIRE_TRY(validate_group(layout, i));
  if (append_groups(layout) == 0) {
    return invalid("no append group; a layout needs at least one to have spans");
  }
  return {};
}

}  // namespace quire::model
