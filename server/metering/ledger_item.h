// What the core tells the ledger: values of one size, so that a queue of them needs no memory of
// its own for each. Threads: made by the core, read by the ledger's.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <type_traits>

#include "model/limits.h"
#include "model/receipts/ledger_block.h"
#include "model/receipts/receipt.h"
#include "server/rings/turn.h"

namespace quire::server {

// Texts of sessions, as they travel: behind each other, none longer than a name.
class ItemTexts {
 public:
  // In ascending order: those behind it are empty from now on.
  void set(size_t number, std::string_view text) {
    const size_t bytes = text.size() < model::kMaxNameBytes ? text.size() : model::kMaxNameBytes;
    lengths_[number] = static_cast<uint8_t>(bytes);
    std::fill(lengths_.begin() + number + 1, lengths_.end(), uint8_t{0});
    std::copy_n(text.data(), bytes, bytes_.data() + start_of(number));
  }
  std::string_view get(size_t number) const {
    return {bytes_.data() + start_of(number), lengths_[number]};
  }
  // Of this object, from its start on, what means something.
  size_t used_bytes() const { return sizeof(lengths_) + start_of(lengths_.size()); }
  model::ReceiptTexts all() const {
    model::ReceiptTexts texts;
    for (size_t i = 0; i < texts.size(); ++i) texts[i] = get(i);
    return texts;
  }

 private:
  size_t start_of(size_t number) const {
    return std::accumulate(lengths_.begin(), lengths_.begin() + number, size_t{0});
  }

  std::array<uint8_t, 8> lengths_{};
  std::array<char, model::kMaxNameBytes * model::kReceiptTexts> bytes_{};
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
  ItemTexts texts;
  model::StorageRecord storage;
  model::LostRecord lost;

  // From its start on, what means something: of a receipt, the most frequent by far, a third.
  size_t used_bytes() const;
};
static_assert(std::is_trivially_copyable_v<LedgerItem>);

inline size_t LedgerItem::used_bytes() const {
  if (kind != Kind::kReceipt && kind != Kind::kOpenTurn) return sizeof(LedgerItem);
  return offsetof(LedgerItem, texts) + texts.used_bytes();
}

// The receipt of a turn that ended, or as far as it is. `wall_us` is the time at
// `record.closed_ns`.
void fill_receipt(const TurnRecord& record, int64_t wall_us, LedgerItem& item);

}  // namespace quire::server
