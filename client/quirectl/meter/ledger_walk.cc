#include "client/quirectl/meter/ledger_walk.h"

#include <string>
#include <utility>

namespace quire::client {

using model::EntryType;
using model::LedgerBlock;
using model::LedgerEntry;
using model::LedgerFault;
using model::LedgerPosition;

LedgerWalk::LedgerWalk(EntryVisitor* visitor, std::function<void(const WalkFault&)> on_fault)
    : visitor_(visitor), on_fault_(std::move(on_fault)), chain_([this](const LedgerFault& found) {
        fault(model::kLedgerFaultNames[static_cast<size_t>(found.kind)], found.position,
              found.text);
      }) {}

void LedgerWalk::fault(std::string_view kind, const LedgerPosition& position,
                       std::string_view text) {
  ++counts_.faults;
  on_fault_({kind, position, text});
}

void LedgerWalk::add(std::string_view bytes) {
  const auto block = LedgerBlock::parse(bytes);
  if (!block.ok()) {
    const LedgerPosition behind = chain_.head().position;
    return chain_.add_unreadable({behind.epoch, behind.sequence + 1}, block.error());
  }
  const uint64_t faults = chain_.faults();
  chain_.add(*block);
  // Sums that do not close because a bit was flipped are no second fault.
  block_is_good_ = chain_.faults() == faults;
  note(*block);
  for (const LedgerEntry& entry : block->entries()) read_entry(*block, entry);
}

void LedgerWalk::cut_off(const model::Error& error) {
  const auto kind = static_cast<size_t>(model::LedgerFaultKind::kCutOff);
  fault(model::kLedgerFaultNames[kind], chain_.head().position, error.text);
}

void LedgerWalk::note(const LedgerBlock& block) {
  if (counts_.first == LedgerPosition{}) counts_.first = block.first();
  if (block.header().epoch != epoch_) ++counts_.epochs;
  epoch_ = block.header().epoch;
  counts_.written_us = block.header().written_us;
}

void LedgerWalk::read_entry(const LedgerBlock& block, const LedgerEntry& entry) {
  switch (entry.type) {
    case EntryType::kReceipt:
      return read_receipt(block, entry);
    case EntryType::kStorage:
      return read_storage(block, entry);
    case EntryType::kLost:
      return read_lost(entry);
    case EntryType::kStart:
      return read_start(entry);
    case EntryType::kStop:
    case EntryType::kPruned:
      return;
  }
  if (block_is_good_) fault("unknown", entry.position, "an entry of a kind that is not known");
}

void LedgerWalk::read_receipt(const LedgerBlock& block, const LedgerEntry& entry) {
  const auto record = model::read_record<model::ReceiptRecord>(entry, entry.type);
  if (!record.ok()) {
    if (block_is_good_) fault("unknown", entry.position, record.error().text);
    return;
  }
  ++counts_.receipts;
  if (const auto sums = model::check_sums(*record); !sums.ok() && block_is_good_) {
    fault("sums", entry.position, sums.error().text);
  }
  if (visitor_ != nullptr) visitor_->receipt({entry.position, *record, block.texts_of(*record)});
}

void LedgerWalk::read_storage(const LedgerBlock& block, const LedgerEntry& entry) {
  const auto record = model::read_record<model::StorageRecord>(entry, entry.type);
  if (!record.ok()) {
    if (block_is_good_) fault("unknown", entry.position, record.error().text);
    return;
  }
  ++counts_.storage_records;
  if (visitor_ == nullptr) return;
  visitor_->storage(
      {entry.position, *record, block.text(record->tenant), block.text(record->retention)});
}

void LedgerWalk::read_lost(const LedgerEntry& entry) {
  const auto record = model::read_record<model::LostRecord>(entry, entry.type);
  if (!record.ok()) {
    if (block_is_good_) fault("unknown", entry.position, record.error().text);
    return;
  }
  counts_.lost_receipts += record->receipts;
  if (visitor_ != nullptr) visitor_->lost({entry.position, *record});
}

void LedgerWalk::read_start(const LedgerEntry& entry) {
  const auto record = model::read_record<model::StartRecord>(entry, entry.type);
  if (!record.ok()) {
    if (block_is_good_) fault("unknown", entry.position, record.error().text);
    return;
  }
  if (record->missing_writes > 0 && block_is_good_) {
    const auto kind = static_cast<size_t>(model::LedgerFaultKind::kCutOff);
    fault(model::kLedgerFaultNames[kind], entry.position,
          std::to_string(record->missing_writes) +
              " changes that were durable were gone when the daemon started there: entries before "
              "it were cut off, or an older copy was put back");
  }
  if (record->unknown_from_us >= record->unknown_to_us) return;
  ++counts_.unknown_spans;
  if (visitor_ != nullptr) visitor_->unknown({entry.position, *record});
}

}  // namespace quire::client
