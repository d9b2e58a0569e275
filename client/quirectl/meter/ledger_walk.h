// Reads a ledger's blocks entry by entry, and checks them on the way: the chain (LedgerChain), and
// that the sums of each receipt close.
//
// Nothing is hidden for being damaged: what can be read of a block is visited, and what is wrong
// with it is told before. Memory: a block. Threads: any one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "model/receipts/ledger_chain.h"

namespace quire::client {

// Entries, lent for the call.
struct ReceiptView {
  model::LedgerPosition position;
  model::ReceiptRecord record;
  model::ReceiptTexts texts;

  std::string_view text(model::ReceiptText which) const {
    return texts[static_cast<size_t>(which)];
  }
  // The name that prices are listed by.
  std::string_view model_name() const {
    const std::string_view named = text(model::ReceiptText::kModel);
    return named.empty() ? text(model::ReceiptText::kNamespace) : named;
  }
};

struct StorageView {
  model::LedgerPosition position;
  model::StorageRecord record;
  std::string_view tenant;
  std::string_view retention;
};

struct LostView {
  model::LedgerPosition position;
  model::LostRecord record;
};

// A start that says between which instants turns may be missing.
struct UnknownView {
  model::LedgerPosition position;
  model::StartRecord record;
};

class EntryVisitor {
 public:
  virtual ~EntryVisitor() = default;
  virtual void receipt(const ReceiptView& receipt) = 0;
  virtual void storage(const StorageView&) {}
  virtual void lost(const LostView&) {}
  virtual void unknown(const UnknownView&) {}
};

// `kind`: of kLedgerFaultNames, or "sums" (a receipt whose do not close), "unknown" (an entry of a
// kind that this version does not know).
struct WalkFault {
  std::string_view kind;
  model::LedgerPosition position;
  std::string_view text;
};

class LedgerWalk {
 public:
  struct Counts {
    uint64_t receipts = 0;
    uint64_t storage_records = 0;
    uint64_t lost_receipts = 0;
    uint64_t unknown_spans = 0;  // of time, in which turns may be missing
    uint64_t epochs = 0;
    uint64_t faults = 0;
    model::LedgerPosition first;  // entry; (0, 0): there is none
    int64_t written_us = 0;       // of the last block
  };

  // `visitor`: null, when nobody looks at entries.
  LedgerWalk(EntryVisitor* visitor, std::function<void(const WalkFault&)> on_fault);
  LedgerWalk(const LedgerWalk&) = delete;
  LedgerWalk& operator=(const LedgerWalk&) = delete;

  // Before the first block: LedgerChain::expect, begin_anywhere.
  void expect(const model::LedgerHead& anchor) { chain_.expect(anchor); }
  void begin_anywhere() { chain_.begin_anywhere(); }

  // The next block's bytes.
  void add(std::string_view bytes);
  // Nothing follows; the ledger's last entry, as it says itself.
  void finish(const model::LedgerHead& end) { chain_.finish(end); }
  // Nothing more can be read, and this is why.
  void cut_off(const model::Error& error);

  const model::LedgerHead& head() const { return chain_.head(); }
  // The last entry before the first one that was read.
  const model::LedgerHead& begin() const { return chain_.begin(); }
  uint64_t entries() const { return chain_.entries(); }
  const Counts& counts() const { return counts_; }

 private:
  void fault(std::string_view kind, const model::LedgerPosition& position, std::string_view text);
  void note(const model::LedgerBlock& block);
  void read_entry(const model::LedgerBlock& block, const model::LedgerEntry& entry);
  void read_receipt(const model::LedgerBlock& block, const model::LedgerEntry& entry);
  void read_storage(const model::LedgerBlock& block, const model::LedgerEntry& entry);
  void read_lost(const model::LedgerEntry& entry);
  void read_start(const model::LedgerEntry& entry);

  EntryVisitor* visitor_;
  std::function<void(const WalkFault&)> on_fault_;
  model::LedgerChain chain_;
  Counts counts_;
  uint64_t epoch_ = 0;         // of the last block
  bool block_is_good_ = true;  // what is wrong with the present one was not told yet
};

}  // namespace quire::client
