#include "model/receipts/ledger_chain.h"

#include <utility>

namespace quire::model {

void LedgerChain::report(LedgerFaultKind kind, const LedgerPosition& position, std::string text) {
  ++faults_;
  on_fault_({kind, position, std::move(text)});
}

// What stands before the block by its own word, against what was read before it.
void LedgerChain::check_order(const LedgerBlock& block) {
  const LedgerHead before = block.before();
  if (block.first() <= head_.position) {
    return report(LedgerFaultKind::kRepeated, block.first(),
                  "entries from " + to_text(block.first()) + " on stand behind " +
                      to_text(head_.position) + ": repeated, or out of order");
  }
  if (before.position > head_.position && hidden_) return;  // told
  if (before.position != head_.position) {
    return report(LedgerFaultKind::kMissing, block.first(),
                  "entries behind " + to_text(head_.position) + " up to " +
                      to_text(before.position) + " are missing");
  }
  if (before.hash != head_.hash) {
    report(LedgerFaultKind::kOtherChain, block.first(),
           "entry " + to_text(block.first()) + " goes on from another " + to_text(head_.position) +
               " than the one before it");
  }
}

void LedgerChain::check_anchor(const LedgerBlock& block) {
  if (!anchor_ || anchor_seen_ || anchor_->position > block.head().position) return;
  anchor_seen_ = true;
  if (*anchor_ == block.before()) return;  // the first block goes on from it
  if (anchor_->position < block.before().position) {
    return report(LedgerFaultKind::kNotAnchored, anchor_->position,
                  "the entry that was signed off, " + to_text(anchor_->position) +
                      ", is older than what is here, which begins behind " +
                      to_text(block.before().position));
  }
  for (const LedgerEntry& entry : block.entries()) {
    if (entry.position == anchor_->position && entry.hash == anchor_->hash) return;
  }
  report(LedgerFaultKind::kNotAnchored, anchor_->position,
         "entry " + to_text(anchor_->position) + " is not the one that was signed off");
}

void LedgerChain::note_pruned(const LedgerBlock& block) {
  for (const LedgerEntry& entry : block.entries()) {
    if (entry.type != EntryType::kPruned) continue;
    const auto pruned = read_record<PrunedRecord>(entry, EntryType::kPruned);
    if (pruned.ok() && pruned->last == begin_) begin_explained_ = true;
  }
}

void LedgerChain::add(const LedgerBlock& block) {
  if (!begun_) {
    begun_ = true;
    begin_ = head_ = block.before();
    begin_explained_ = hidden_;
  }
  check_order(block);
  hidden_ = false;
  if (const auto bad = block.first_bad_hash()) {
    report(LedgerFaultKind::kChanged, *bad,
           "entry " + to_text(*bad) + ", or what its block says of it, is not what was written");
  }
  check_anchor(block);
  note_pruned(block);
  entries_ += block.entries().size();
  if (block.head().position > head_.position) head_ = block.head();
}

void LedgerChain::add_unreadable(const LedgerPosition& place, const Error& error) {
  hidden_ = true;
  report(LedgerFaultKind::kChanged, place,
         "the block of entry " + to_text(place) + " cannot be read: " + error.text);
}

void LedgerChain::finish(const std::optional<LedgerHead>& end) {
  if (whole_ && begin_.position != LedgerPosition{} && !begin_explained_) {
    report(LedgerFaultKind::kMissing, {},
           "entries up to " + to_text(begin_.position) +
               " are missing, and none says that they were removed for their age");
  }
  if (end && end->position > head_.position && hidden_) {
    // Its last entry was in what could not be read, which was told.
  } else if (end && end->position > head_.position) {
    report(LedgerFaultKind::kCutOff, end->position,
           "the ledger ends with " + to_text(head_.position) + ", and was written up to " +
               to_text(end->position));
  } else if (end && *end != head_) {
    report(LedgerFaultKind::kOtherChain, head_.position,
           "the last entry is " + to_text(head_.position) + ", not the " + to_text(end->position) +
               " that the ledger ends with");
  }
  if (anchor_ && !anchor_seen_) {
    report(LedgerFaultKind::kNotAnchored, anchor_->position,
           "the entry that was signed off, " + to_text(anchor_->position) + ", is not in it");
  }
}

}  // namespace quire::model
