#include "model/kv_bytes.h"

#include <algorithm>
#include <limits>

namespace quire::model {

namespace {

uint64_t tensor_bytes(const KvTensor& tensor, uint64_t tokens) {
  const uint64_t alive =
      tensor.held_tokens == 0 ? tokens : std::min<uint64_t>(tokens, tensor.held_tokens);
  // A row exists once all of its tokens do.
  return alive / tensor.tokens_per_row * tensor.row_bytes * tensor.shard_count;
}

template <typename Predicate>
uint64_t sum_bytes(const KvModel& model, uint64_t tokens, Predicate wanted) {
  uint64_t bytes = 0;
  for (const KvTensor& tensor : model.tensors) {
    if (wanted(tensor)) bytes += tensor_bytes(tensor, tokens);
  }
  return bytes;
}

template <typename Predicate>
double sum_per_token(const KvModel& model, Predicate wanted) {
  double bytes = 0;
  for (const KvTensor& tensor : model.tensors) {
    if (!wanted(tensor)) continue;
    bytes += static_cast<double>(tensor.row_bytes * tensor.shard_count) / tensor.tokens_per_row;
  }
  return bytes;
}

// Half of the rows of one 4-token block: the "b" halves of kv and score.
uint64_t overlap_bytes(const KvTensor& tensor) {
  if (tensor.role != TensorRole::kCsaState && tensor.role != TensorRole::kIndexerState) return 0;
  const uint64_t block_tokens = tensor.held_tokens / 2;  // held: this block and the one before
  return block_tokens * tensor.row_bytes / 2;
}

}  // namespace

uint64_t role_bytes(const KvModel& model, TensorRole role, uint64_t tokens) {
  return sum_bytes(model, tokens, [&](const KvTensor& tensor) { return tensor.role == role; });
}

uint64_t kind_bytes(const KvModel& model, GroupKind kind, uint64_t tokens) {
  return sum_bytes(model, tokens,
                   [&](const KvTensor& tensor) { return kind_of(tensor.role) == kind; });
}

uint64_t max_kind_bytes(const KvModel& model, GroupKind kind) {
  return kind_bytes(model, kind, std::numeric_limits<uint32_t>::max());
}

double role_bytes_per_token(const KvModel& model, TensorRole role) {
  return sum_per_token(model, [&](const KvTensor& tensor) { return tensor.role == role; });
}

double append_bytes_per_token(const KvModel& model) {
  return sum_per_token(
      model, [](const KvTensor& tensor) { return kind_of(tensor.role) == GroupKind::kAppend; });
}

double dense_bytes_per_token(const KvModel& model) {
  return sum_per_token(model, [](const KvTensor&) { return true; });
}

uint64_t minimal_checkpoint_bytes(const KvModel& model) {
  uint64_t bytes = max_kind_bytes(model, GroupKind::kWindow);
  for (const KvTensor& tensor : model.tensors) {
    // Recurrent and convolution states have no rows that could be left out.
    const bool whole =
        tensor.role == TensorRole::kConvState || tensor.role == TensorRole::kRecurrentState;
    bytes += whole ? tensor.row_bytes * tensor.shard_count : overlap_bytes(tensor);
  }
  return bytes;
}

}  // namespace quire::model
