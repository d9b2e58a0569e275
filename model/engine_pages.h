// vLLM's page arithmetic for DeepSeek-V4 (vllm/v1/attention/backends/mla/sparse_swa.py and
// vllm/models/deepseek_v4/): five groups, each tensor's page padded to a multiple of 576 bytes (512
// with BF16 rows).
//
//   group       tensors of a page                        tokens a page
//   global      CSA main + indexer, HCA main             256
//   window_i    window of every n-th layer from i on     64
//   c4_state    CSA and indexer compressor state         4
//   c128_state  HCA compressor state                     8
//
// Windows share memory with CSA tensors of the same page size, so they are dealt out over as many
// groups as there are whole sets of CSA layers: n = window layers / CSA layers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/kv_model.h"

namespace quire::model {

struct EngineTensor {
  TensorRole role = TensorRole::kCsaMain;
  uint32_t layer = 0;
  ElementFormat format = ElementFormat::kOpaque;
  uint64_t page_bytes = 0;  // padded
};

struct EngineGroup {
  std::string name;
  GroupKind kind = GroupKind::kAppend;
  uint32_t page_tokens = 0;
  std::vector<EngineTensor> tensors;  // ascending by layer

  uint64_t page_bytes() const;
};

// Requires model.v4_engine_pages.
std::vector<EngineGroup> v4_engine_groups(const KvModel& model);

// Engine pages of a group that a resume at a multiple of 128 tokens needs: the window's, one state
// page of CSA (its next row overlaps the last 4 tokens), none of HCA (no block is open). Append: 1.
uint32_t pages_per_checkpoint(const EngineGroup& group, uint32_t window_tokens);

}  // namespace quire::model
