#include "model/receipts/rollup.h"

namespace quire::model {

void RollupSums::add(const ReceiptRecord& receipt) {
  if (receipt.turn > 0) ++turns;
  const auto end = static_cast<ReceiptEnd>(receipt.end);
  if (end == ReceiptEnd::kClientDied || end == ReceiptEnd::kDaemonDied) ++interrupted_turns;
  prompt_tokens += receipt.prompt_tokens;
  hit_tokens += receipt.hit_tokens;
  replayed_tokens += receipt.replayed_tokens;
  missed_tokens += receipt.missed_tokens;
  output_tokens += receipt.output_tokens;
  written_tokens += receipt.written_tokens;
  undelivered_tokens += receipt.undelivered_tokens;
  withheld_tokens += uint64_t{receipt.withheld_alignment_tokens} + receipt.withheld_group_tokens;
  for (size_t tier = 0; tier < kTierCount; ++tier) {
    delivered_tokens[tier] += receipt.delivered_tokens[tier];
    moved_bytes[tier] += receipt.moved_bytes[tier];
  }
  written_bytes += receipt.written_bytes[0] + receipt.written_bytes[1];
}

void RollupSums::add(const RollupSums& other) {
  turns += other.turns;
  interrupted_turns += other.interrupted_turns;
  prompt_tokens += other.prompt_tokens;
  hit_tokens += other.hit_tokens;
  replayed_tokens += other.replayed_tokens;
  missed_tokens += other.missed_tokens;
  output_tokens += other.output_tokens;
  written_tokens += other.written_tokens;
  undelivered_tokens += other.undelivered_tokens;
  withheld_tokens += other.withheld_tokens;
  for (size_t tier = 0; tier < kTierCount; ++tier) {
    delivered_tokens[tier] += other.delivered_tokens[tier];
    moved_bytes[tier] += other.moved_bytes[tier];
  }
  written_bytes += other.written_bytes;
}

}  // namespace quire::model
