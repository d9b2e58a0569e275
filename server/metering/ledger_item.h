// What the core tells the ledger: values of one size, so that a queue of them needs no memory of
// its own for each. Threads: made by the core, read by the ledger's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "model/limits.h"
#include "model/receipts/ledger_block.h"
#include "model/receipts/receipt.h"
#include "server/rings/turn.h"

namespace quire::server {

// Texts of sessions, as they travel: none is longer than a name.
class ItemTexts {
 public:
  void set(size_t number, std::string_view text) {
    const size_t bytes = text.size() < model::kMaxNameBytes ? text.size() : model::kMaxNameBytes;
    lengths_[number] = static_cast<uint8_t>(bytes);
    std::copy_n(text.data(), bytes, bytes_[number].data());
  }
  std::string_view get(size_t number) const { return {bytes_[number].data(), lengths_[number]}; }
  model::ReceiptTexts all() const {
    model::ReceiptTexts texts;
    for (size_t i = 0; i < texts.size(); ++i) texts[i] = get(i);
    return texts;
  }

 private:
  std::array<uint8_t, 8> lengths_{};
  std::array<std::array<char, model::kMaxNameBytes + 1>, model::kReceiptTexts> bytes_{};
};

struct LedgerItem {
  enum class Kind : uint8_t {
    kReceipt = 0,
    kOpenTurn = 1,  // as far as it is; another of its session takes its place
    kStorage = 2,   // texts: tenant, retention
    kLost = 3,      // there was no room for them
    kTick = 4,      // all that ended before `now_us` was told
  };
  Kind kind = Kind::kTick;
  int64_t now_us = 0;  // wall clock; kTick
  // One of these, by kind.
  model::ReceiptRecord receipt;
  model::StorageRecord storage;
  model::LostRecord lost;
  ItemTexts texts;
};
static_assert(std::is_trivially_copyable_v<LedgerItem>);

// The receipt of a turn that ended, or as far as it is. `wall_us` is the time at
// `record.closed_ns`.
void fill_receipt(const TurnRecord& record, int64_t wall_us, LedgerItem& item);

}  // namespace quire::server
