// Checks a ledger block by block, in order: each entry's hash, the chain from block to block, and
// that no number is missing, doubled or out of order. What is wrong is named, and the check goes on
// behind it, so that one fault is one fault.
//
// Threads: any one at a time. Memory: flat, whatever the ledger's length.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "model/receipts/ledger_block.h"

namespace quire::model {

enum class LedgerFaultKind : uint8_t {
  kChanged,      // bytes are not those that were hashed
  kMissing,      // entries between two blocks are not there
  kRepeated,     // a block stands there again, or out of order
  kOtherChain,   // the block goes on from something else than what stands before it
  kCutOff,       // what the ledger says is its end is not there
  kNotAnchored,  // the signed-off head is not in it, or another
};
inline constexpr std::array<std::string_view, 6> kLedgerFaultNames{
    "changed", "missing", "repeated", "other_chain", "cut_off", "not_anchored"};

struct LedgerFault {
  LedgerFaultKind kind = LedgerFaultKind::kChanged;
  LedgerPosition position;  // of the first entry concerned
  std::string text;         // one line, for people
};

class LedgerChain {
 public:
  // `on_fault` is called for each, in order.
  explicit LedgerChain(std::function<void(const LedgerFault&)> on_fault)
      : on_fault_(std::move(on_fault)) {}

  // A head that was signed off earlier and has to be found. Before the first block.
  void expect(const LedgerHead& anchor) { anchor_ = anchor; }
  // A part is read: nothing is said of what stands before its first block. Else that is where the
  // ledger begins, or a later entry says that what was older was removed. Before the first block.
  void begin_anywhere() { whole_ = false; }
  // The next block of the ledger.
  void add(const LedgerBlock& block);
  // Bytes that are no block: of which nothing but their place is known. What is missing up to the
  // next block was in them, and is no fault of its own.
  void add_unreadable(const LedgerPosition& place, const Error& error);
  // Nothing follows. `end`: the ledger's own last entry, as it says itself; none: not known.
  void finish(const std::optional<LedgerHead>& end);

  const LedgerHead& head() const { return head_; }
  uint64_t entries() const { return entries_; }
  uint64_t faults() const { return faults_; }
  // The last entry before the first block that was added.
  const LedgerHead& begin() const { return begin_; }

 private:
  void report(LedgerFaultKind kind, const LedgerPosition& position, std::string text);
  void check_order(const LedgerBlock& block);
  void check_anchor(const LedgerBlock& block);
  void note_pruned(const LedgerBlock& block);

  std::function<void(const LedgerFault&)> on_fault_;
  std::optional<LedgerHead> anchor_;
  bool anchor_seen_ = false;
  bool begun_ = false;
  bool whole_ = true;
  bool hidden_ = false;           // what stands behind head_ could not be read
  bool begin_explained_ = false;  // an entry says that what stood before was removed, or it is told
  LedgerHead begin_;
  LedgerHead head_;
  uint64_t entries_ = 0;
  uint64_t faults_ = 0;
};

}  // namespace quire::model
