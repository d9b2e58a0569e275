// Byte accounting of a model's cache from its tensors: unpadded, over all shards. Rows that are not
// complete are not counted, so that sums are exact at multiples of the largest tokens_per_row.
#pragma once

#include <cstdint>

#include "model/kv_model.h"

namespace quire::model {

// Bytes of one role after `tokens` tokens of one sequence. Append: whole rows. Window and state:
// of the tokens alive, at most held_tokens.
uint64_t role_bytes(const KvModel& model, TensorRole role, uint64_t tokens);
// All roles of a kind.
uint64_t kind_bytes(const KvModel& model, GroupKind kind, uint64_t tokens);
// The most that windows (states) of one sequence hold, however long it grows.
uint64_t max_kind_bytes(const KvModel& model, GroupKind kind);

// Exact for tokens_per_row that are powers of two.
double role_bytes_per_token(const KvModel& model, TensorRole role);
double append_bytes_per_token(const KvModel& model);
// A pool that keeps every group at every token, as first-generation pools did.
double dense_bytes_per_token(const KvModel& model);

// The least that makes a multiple of unit_tokens resumable without replay: windows, and of each
// 4-token compressor the half of the previous block that the next row overlaps. Twice the state
// part where an engine keeps whole state rows.
uint64_t minimal_checkpoint_bytes(const KvModel& model);

}  // namespace quire::model
