// Layout files (configs/models/*.toml). All sizes in bytes, all positions in tokens.
//
//   name = "deepseek-v4-flash-fp8"
//   unit_tokens = 128
//   block_tokens = 256
//
//   [[groups]]
//   name = "global"
//   kind = "append"               # append, window, state
//   element_format = "mixed"      # model/element_format.h; default opaque
//   page_bytes = 1002240
//   window_tokens = 128           # window groups only
//   shard = 0                     # default 0 of shard_count 1
//   shard_count = 1
//   checkpoints = "turn_ends"     # all, every, turn_ends (default), none
//   checkpoint_every_tokens = 0   # with every
//   replay_tokens = 5504          # default 0: not allowed
//   replay_exact = true           # default false
//   layers = [{first = 2, count = 21, step = 2, offset = 0, bytes = 37440, stride = 47808}]
//
// An entry of layers is a run: for i < count, layer first + i * step lies at offset + i * stride.
// Defaults: count 1, step 1, stride = bytes. Runs may interleave; ranges are sorted by offset.
#pragma once

#include <string>
#include <string_view>

#include "model/layout.h"
#include "model/result.h"

namespace quire::model {

// Errors: kInvalidArgument (not TOML, unknown or missing key, wrong type; the text names line or
// key and the nearest known key), kInvalidLayout (validate).
Result<Layout> parse_layout_toml(std::string_view text);
// Also kIoError. Refuses files above 1 MiB.
Result<Layout> load_layout_file(const std::string& path);
// Text that parse_layout_toml turns into an equal layout. `layout` is valid.
std::string layout_to_toml(const Layout& layout);

// Names as files and tools spell them.
std::string_view group_kind_name(GroupKind kind);
std::string_view checkpoint_rule_name(CheckpointRule rule);

}  // namespace quire::model
