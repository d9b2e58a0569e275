#include "model/engine_pages.h"

#include <algorithm>
#include <initializer_list>

#include "model/check.h"
#include "model/session_shm.h"

namespace quire::model {

namespace {

constexpr uint32_t kGlobalPageTokens = 256;  // 64 rows of 4 tokens: kernels want 64-row pages
constexpr uint32_t kWindowPageTokens = 64;
constexpr uint32_t kCsaStatePageTokens = 4;
constexpr uint32_t kHcaStatePageTokens = 8;

EngineGroup group_of(const KvModel& model, std::string name, uint32_t page_tokens,
                     std::initializer_list<TensorRole> roles) {
  EngineGroup group{std::move(name), kind_of(*roles.begin()), page_tokens, {}};
  for (const KvTensor& tensor : model.tensors) {
    if (std::find(roles.begin(), roles.end(), tensor.role) == roles.end()) continue;
    const uint64_t rows = page_tokens / tensor.tokens_per_row;
    group.tensors.push_back({tensor.role, tensor.layer, tensor.format,
                             align_up(rows * tensor.row_bytes, model.tensor_alignment)});
  }
  return group;
}

void append_window_groups(const KvModel& model, size_t csa_layer_count,
                          std::vector<EngineGroup>& groups) {
  const EngineGroup all = group_of(model, "window", kWindowPageTokens, {TensorRole::kWindow});
  const size_t count =
      csa_layer_count == 0 ? 1 : std::max<size_t>(1, all.tensors.size() / csa_layer_count);
  for (size_t i = 0; i < count; ++i) {
    EngineGroup group{"window_" + std::to_string(i), all.kind, all.page_tokens, {}};
    for (size_t t = i; t < all.tensors.size(); t += count) group.tensors.push_back(all.tensors[t]);
    groups.push_back(std::move(group));
  }
}

}  // namespace

uint64_t EngineGroup::page_bytes() const {
  uint64_t bytes = 0;
  for (const EngineTensor& tensor : tensors) bytes += tensor.page_bytes;
  return bytes;
}

std::vector<EngineGroup> v4_engine_groups(const KvModel& model) {
  QUIRE_CHECK(model.v4_engine_pages);
  std::vector<EngineGroup> groups;
  groups.push_back(group_of(model, "global", kGlobalPageTokens,
                            {TensorRole::kCsaMain, TensorRole::kIndexer, TensorRole::kHcaMain}));
  const auto csa_layer_count =
      std::count_if(model.tensors.begin(), model.tensors.end(),
                    [](const KvTensor& tensor) { return tensor.role == TensorRole::kCsaMain; });
  append_window_groups(model, static_cast<size_t>(csa_layer_count), groups);
  groups.push_back(group_of(model, "c4_state", kCsaStatePageTokens,
                            {TensorRole::kCsaState, TensorRole::kIndexerState}));
  groups.push_back(group_of(model, "c128_state", kHcaStatePageTokens, {TensorRole::kHcaState}));
  return groups;
}

uint32_t pages_per_checkpoint(const EngineGroup& group, uint32_t window_tokens) {
  if (group.kind == GroupKind::kWindow) {
    return (window_tokens + group.page_tokens - 1) / group.page_tokens;
  }
  if (group.kind == GroupKind::kAppend || group.tensors.empty()) return 1;
  return group.tensors.front().role == TensorRole::kHcaState ? 0 : 1;
}

}  // namespace quire::model
