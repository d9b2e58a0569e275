// Bills what a ledger holds: its receipts and spans of storage become what is priced (billable.h).
//
// 1. A request is billed once. A turn that the death of a client or of the daemon cut short waits
//    for a later receipt of the same request (user, payer, namespace, model, conversation, request
//    id and length, begun within an hour): an engine that tries again pays for what it got in the
//    end. Without one it is billed as far as
//    it came, at finish().
// 2. Its instant is that at which the turn began. Its model is what the session named, else the
//    namespace.
// 3. Storage is what was held on any tier, each object once, by hours; the most in an hour is that
//    of each retention class by itself.
//
// A pure function of blocks, book and options. Memory: of turns that were cut short, at most
// kMostHeld; the oldest is billed where there are more. Threads: one. The book outlives it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/prices/bill.h"
#include "model/receipts/ledger_block.h"
#include "model/result.h"

namespace quire::prices {

// A request as it is billed, with what it is charged: no charges where the book has no price.
struct BilledReceipt {
  model::LedgerPosition position;
  const model::ReceiptRecord& record;
  const model::ReceiptTexts& texts;
  std::span<const BillLine> charges;
};

// Storage of an hour.
struct BilledStorage {
  uint32_t uid = 0;
  std::string_view retention;
  const StoredBillable& stored;
  std::span<const BillLine> charges;  // at least one
};

// Hears of charges one by one, all lent for the call. Their amounts add up to the bill's.
class BilledListener {
 public:
  virtual ~BilledListener() = default;
  virtual void receipt(const BilledReceipt& receipt) = 0;
  virtual void storage(const BilledStorage& storage) = 0;
};

struct ReceiptBillOptions {
  BillOptions bill;
  // Requests that began in [from_us, to_us), wall clock.
  int64_t from_us = std::numeric_limits<int64_t>::min();
  int64_t to_us = std::numeric_limits<int64_t>::max();
  std::optional<std::string> tenant;   // who pays; none: everybody
  BilledListener* listener = nullptr;  // outlives the bill; null: nobody asks
};

struct ReceiptBillCounts {
  uint64_t receipts = 0;     // billed
  uint64_t tried_again = 0;  // cut short, and billed by a later receipt
  uint64_t cut_short = 0;    // billed as far as they came
};

class ReceiptBill {
 public:
  static constexpr size_t kMostHeld = 1 << 18;

  // Errors of BillMaker::create.
  static model::Result<ReceiptBill> create(const PriceBook& book,
                                           const ReceiptBillOptions& options);

  // Blocks in the ledger's order. kCorrupt: an entry is none. Errors of BillMaker::add.
  model::Result<void> add(const model::LedgerBlock& block);
  // Nothing follows.
  model::Result<Bill> finish();
  const ReceiptBillCounts& counts() const { return counts_; }

 private:
  // A turn that was cut short.
  struct Held {
    model::LedgerPosition position;
    model::ReceiptRecord record;
    std::array<std::string, model::kReceiptTexts> texts;
    uint64_t number = 0;  // in the order in which they came
  };
  struct StorageOwner {
    uint32_t uid = 0;
    std::string tenant;
    std::string retention;
    friend auto operator<=>(const StorageOwner&, const StorageOwner&) = default;
  };
  // Of one of them in one hour.
  struct HourOfStorage {
    int64_t hour = 0;
    UInt128 token_us = 0;  // more than whole seconds: goes on into the next hour
    UInt128 byte_us = 0;
    uint64_t most_tokens = 0;
    uint64_t most_bytes = 0;
  };

  ReceiptBill(BillMaker maker, const ReceiptBillOptions& options)
      : maker_(std::move(maker)), options_(options) {}
  bool is_wanted(int64_t instant_us, std::string_view payer) const {
    return instant_us >= options_.from_us && instant_us < options_.to_us &&
           (!options_.tenant || *options_.tenant == payer);
  }
  model::Result<void> add_receipt(const model::LedgerPosition& position,
                                  const model::ReceiptRecord& record,
                                  const model::ReceiptTexts& texts);
  model::Result<void> bill_receipt(const model::LedgerPosition& position,
                                   const model::ReceiptRecord& record,
                                   const model::ReceiptTexts& texts);
  // Of the same request, if there is one: it was tried again.
  void drop_held(const model::ReceiptRecord& record, const model::ReceiptTexts& texts);
  model::Result<void> hold(const model::LedgerPosition& position,
                           const model::ReceiptRecord& record, const model::ReceiptTexts& texts);
  model::Result<void> bill_oldest();
  model::Result<void> bill_held(const Held& held);
  model::Result<void> add_storage(const model::StorageRecord& record, std::string_view tenant,
                                  std::string_view retention);
  model::Result<void> close_hour(const StorageOwner& owner, HourOfStorage& hour);

  BillMaker maker_;
  ReceiptBillOptions options_;
  ReceiptBillCounts counts_;
  std::vector<BillLine> charges_;                 // of what is being billed
  std::unordered_multimap<uint64_t, Held> held_;  // by request id
  // (request id, number) of each, oldest first; some are gone.
  std::deque<std::pair<uint64_t, uint64_t>> held_order_;
  uint64_t next_number_ = 0;
  std::map<StorageOwner, HourOfStorage> hours_;
};

}  // namespace quire::prices
