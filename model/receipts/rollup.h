// Sums of receipts over a minute or an hour, of one user, tenant, payer, namespace and model: what
// a ledger's reader is shown without reading each receipt. Exact: they are made of the receipts of
// that time, with the same change of the database that wrote these. Values; threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "model/ids.h"
#include "model/receipts/receipt.h"

namespace quire::model {

struct RollupSums {
  uint64_t turns = 0;
  uint64_t interrupted_turns = 0;  // ended by the death of a client or the daemon
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;
  uint64_t replayed_tokens = 0;
  uint64_t missed_tokens = 0;
  uint64_t output_tokens = 0;
  uint64_t written_tokens = 0;
  uint64_t undelivered_tokens = 0;
  uint64_t withheld_tokens = 0;
  std::array<uint64_t, kTierCount> delivered_tokens{};
  std::array<uint64_t, kTierCount> moved_bytes{};
  uint64_t written_bytes = 0;

  void add(const ReceiptRecord& receipt);
  void add(const RollupSums& other);
};
static_assert(std::has_unique_object_representations_v<RollupSums>);

// Whose they are; texts stand beside it.
struct RollupKey {
  int64_t begin_us = 0;  // wall clock: of the minute or hour in which the turns ended
  int64_t length_us = 0;
  uint32_t uid = 0;
  uint32_t reserved = 0;
};
inline constexpr size_t kRollupTexts = 4;  // the first ones of ReceiptText

}  // namespace quire::model
