#include "model/model_config.h"

#include <algorithm>

#include "model/engine_pages.h"
#include "model/kv_model.h"
#include "model/limits.h"
#include "model/session_shm.h"

namespace quire::model {

namespace {

Error bad_option(std::string text) { return make_error(Errc::kInvalidArgument, std::move(text)); }

struct PlannedTensor {
  uint32_t layer = 0;
  ElementFormat format = ElementFormat::kOpaque;
  uint64_t bytes = 0;  // in one page of one shard, padding included
};

// A group before it is multiplied by shards.
struct GroupPlan {
  std::string name;
  GroupKind kind = GroupKind::kAppend;
  uint32_t shard_count = 1;
  std::vector<PlannedTensor> tensors;
};

struct TokenSizes {
  uint32_t unit = 0;
  uint32_t block = 0;
};

Result<void> check_multiple(std::string_view option, uint32_t tokens, uint32_t step,
                            std::string_view why) {
  if (tokens % step == 0) return {};
  return bad_option(std::string(option) + " " + std::to_string(tokens) + " must be a multiple of " +
                    std::to_string(step) + ": " + std::string(why));
}

Result<TokenSizes> token_sizes(const KvModel& model, const LayoutOptions& options) {
  TokenSizes sizes{model.unit_tokens, model.block_tokens};
  if (options.unit_tokens != 0) sizes.unit = options.unit_tokens;
  if (options.block_tokens != 0) sizes.block = options.block_tokens;
  if (sizes.unit > kMaxUnitTokens || sizes.block > kMaxUnitTokens) {
    return bad_option("unit_tokens and block_tokens are at most " + std::to_string(kMaxUnitTokens));
  }
  for (const KvTensor& tensor : model.tensors) {
    QUIRE_TRY(check_multiple("unit_tokens", sizes.unit, tensor.tokens_per_row,
                             "a resume point must not cut a row"));
  }
  return sizes;
}

// V4: pages are whole vLLM pages, tensor by tensor, so that an engine copies page by page.
Result<std::vector<GroupPlan>> plan_engine_groups(const KvModel& model, TokenSizes sizes) {
  std::vector<GroupPlan> plans;
  for (const EngineGroup& engine : v4_engine_groups(model)) {
    if (engine.tensors.empty()) continue;
    uint32_t page_count = pages_per_checkpoint(engine, model.window_tokens);
    if (engine.kind == GroupKind::kAppend) {
      QUIRE_TRY(check_multiple("block_tokens", sizes.block, engine.page_tokens,
                               "the engine's pages are whole"));
      page_count = sizes.block / engine.page_tokens;
    }
    if (page_count == 0) continue;  // nothing is kept at a resume point
    GroupPlan plan{engine.name, engine.kind, 1, {}};
    for (const EngineTensor& tensor : engine.tensors) {
      plan.tensors.push_back({tensor.layer, tensor.format, tensor.page_bytes * page_count});
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

std::string plain_group_name(GroupKind kind, bool index_keys) {
  if (index_keys) return "index";
  switch (kind) {
    case GroupKind::kAppend:
      return "global";
    case GroupKind::kWindow:
      return "window";
    case GroupKind::kState:
      break;
  }
  return "state";
}

uint64_t page_part_bytes(const KvTensor& tensor, uint32_t block_tokens) {
  // A window or a state is kept whole at a checkpoint, whatever the block's length.
  const uint32_t tokens = tensor.held_tokens == 0 ? block_tokens : tensor.held_tokens;
  return tokens / tensor.tokens_per_row * tensor.row_bytes;
}

// A page is at most kMaxPageBytes: windows of many layers become several groups of equal parts.
void append_in_parts(GroupPlan plan, std::vector<GroupPlan>& plans) {
  uint64_t bytes = 0;
  for (const PlannedTensor& tensor : plan.tensors) bytes += tensor.bytes;
  const uint64_t part_count = (bytes + kMaxPageBytes - 1) / kMaxPageBytes;
  const size_t step = (plan.tensors.size() + part_count - 1) / part_count;
  // One part keeps the plain name.
  if (step == plan.tensors.size()) return plans.push_back(std::move(plan));
  for (size_t first = 0; first < plan.tensors.size(); first += step) {
    const auto begin = plan.tensors.begin() + static_cast<ptrdiff_t>(first);
    const size_t count = std::min(step, plan.tensors.size() - first);
    plans.push_back({plan.name + "_" + std::to_string(first / step),
                     plan.kind,
                     plan.shard_count,
                     {begin, begin + static_cast<ptrdiff_t>(count)}});
  }
}

// Empty: the model has nothing of the kind.
GroupPlan plan_plain_group(const KvModel& model, TokenSizes sizes, GroupKind kind,
                           bool index_keys) {
  GroupPlan plan{plain_group_name(kind, index_keys), kind, 1, {}};
  for (const KvTensor& tensor : model.tensors) {
    if (kind_of(tensor.role) != kind) continue;
    if ((tensor.role == TensorRole::kIndexKeys) != index_keys) continue;
    // Tensors of one kind are cut into the same shards.
    plan.shard_count = tensor.shard_count;
    plan.tensors.push_back(
        {tensor.layer, tensor.format,
         align_up(page_part_bytes(tensor, sizes.block), model.tensor_alignment)});
  }
  return plan;
}

// One group per kind, rows without padding. Index keys that all ranks hold are apart from heads,
// of which each holds its own.
std::vector<GroupPlan> plan_plain_groups(const KvModel& model, TokenSizes sizes) {
  std::vector<GroupPlan> plans;
  const auto add = [&](GroupKind kind, bool index_keys) {
    GroupPlan plan = plan_plain_group(model, sizes, kind, index_keys);
    if (!plan.tensors.empty()) append_in_parts(std::move(plan), plans);
  };
  add(GroupKind::kAppend, false);
  add(GroupKind::kAppend, true);
  add(GroupKind::kWindow, false);
  add(GroupKind::kState, false);
  return plans;
}

ElementFormat common_format(const GroupPlan& plan) {
  const ElementFormat first = plan.tensors.front().format;
  const bool same =
      std::all_of(plan.tensors.begin(), plan.tensors.end(),
                  [&](const PlannedTensor& tensor) { return tensor.format == first; });
  return same ? first : ElementFormat::kMixed;
}

Group build_group(const KvModel& model, const GroupPlan& plan) {
  Group group;
  group.name = plan.name;
  group.kind = plan.kind;
  group.element_format = common_format(plan);
  group.shard_count = plan.shard_count;
  if (plan.kind == GroupKind::kWindow) group.window_tokens = model.window_tokens;
  // Spans are needed whole; what a replay can make anew is windows and states.
  if (plan.kind != GroupKind::kAppend) group.replay = model.replay;
  for (const PlannedTensor& tensor : plan.tensors) {
    group.layers.push_back({tensor.layer, group.page_bytes, tensor.bytes});
    group.page_bytes += tensor.bytes;
  }
  return group;
}

}  // namespace

bool ModelConfig::is_null(std::string_view field) const {
  return std::find(null_fields.begin(), null_fields.end(), field) != null_fields.end();
}

Result<Layout> layout_from_config(const ModelConfig& config, const LayoutOptions& options) {
  const KvModel model = QUIRE_TRY(kv_model(config, options));
  const TokenSizes sizes = QUIRE_TRY(token_sizes(model, options));
  const std::vector<GroupPlan> plans = model.v4_engine_pages
                                           ? QUIRE_TRY(plan_engine_groups(model, sizes))
                                           : plan_plain_groups(model, sizes);
  Layout layout;
  // DeepSeek's own name of its V4 files is another word for the same model.
  const bool is_alias = config.model_type == "deepseek_ref";
  layout.name =
      options.name.empty() ? (is_alias ? "deepseek_v4" : config.model_type) : options.name;
  layout.unit_tokens = sizes.unit;
  layout.block_tokens = sizes.block;
  for (const GroupPlan& plan : plans) {
    Group group = build_group(model, plan);
    // A group each: every rank commits its own, and an object is whole with all of them.
    for (uint32_t shard = 0; shard < plan.shard_count; ++shard) {
      group.shard = shard;
      if (plan.shard_count > 1) group.name = plan.name + ".r" + std::to_string(shard);
      layout.groups.push_back(group);
    }
  }
  QUIRE_TRY(validate(layout));
  return layout;
}

}  // namespace quire::model
