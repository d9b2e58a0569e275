// Blocks of a small ledger, as a writer makes them.
#pragma once

#include <string>
#include <vector>

#include "model/receipts/ledger_block.h"

namespace quire::tests {

inline model::ReceiptRecord small_receipt(uint64_t request) {
  model::ReceiptRecord record;
  record.request_id = request;
  record.turn = 1;
  record.prompt_tokens = 100;
  record.resumed_tokens = record.hit_tokens = 64;
  record.missed_tokens = 36;
  return record;
}

inline constexpr model::ReceiptTexts kSmallTexts{"tenant", "payer", "space",
                                                 "model",  "batch", "5m"};

// One chain of epoch 1.
class LedgerRig {
 public:
  // A block of so many receipts.
  std::string block(size_t receipts, uint64_t epoch = 1) {
    for (size_t i = 0; i < receipts; ++i) builder_.add(small_receipt(++requests_), kSmallTexts);
    return builder_.finish(head_, epoch, 1'000'000);
  }
  std::vector<std::string> blocks(size_t count, size_t receipts) {
    std::vector<std::string> made;
    for (size_t i = 0; i < count; ++i) made.push_back(block(receipts));
    return made;
  }
  model::BlockBuilder& builder() { return builder_; }
  const model::LedgerHead& head() const { return head_; }

 private:
  model::BlockBuilder builder_;
  model::LedgerHead head_;
  uint64_t requests_ = 0;
};

}  // namespace quire::tests
