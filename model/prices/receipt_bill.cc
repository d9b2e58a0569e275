#include "model/prices/receipt_bill.h"

#include <algorithm>
#include <utility>

namespace quire::prices {

using model::EntryType;
using model::ReceiptEnd;
using model::ReceiptRecord;
using model::ReceiptText;
using model::ReceiptTexts;
using model::Result;
using model::StorageRecord;

namespace {

constexpr int64_t kStorageHourUs = 3'600'000'000;
constexpr uint64_t kStorageSecondUs = 1'000'000;
// Who tries again does so by then; later the same number is another request's.
constexpr int64_t kTriedAgainUs = kStorageHourUs;

UInt128 wide(const model::WideCount& count) { return UInt128{count.high} << 64 | count.low; }

std::string_view text_of(const ReceiptTexts& texts, ReceiptText which) {
  return texts[static_cast<size_t>(which)];
}

bool was_cut_short(const ReceiptRecord& record) {
  const auto end = static_cast<ReceiptEnd>(record.end);
  return end == ReceiptEnd::kClientDied || end == ReceiptEnd::kDaemonDied;
}

// Takes whole seconds, and leaves what is less.
uint64_t take_seconds(UInt128& sum_us) {
  const UInt128 seconds = sum_us / kStorageSecondUs;
  sum_us %= kStorageSecondUs;
  return static_cast<uint64_t>(seconds);
}

}  // namespace

Result<ReceiptBill> ReceiptBill::create(const PriceBook& book, const ReceiptBillOptions& options) {
  return ReceiptBill(QUIRE_TRY(BillMaker::create(book, options.bill)), options);
}

Result<void> ReceiptBill::add(const model::LedgerBlock& block) {
  for (const model::LedgerEntry& entry : block.entries()) {
    if (entry.type == EntryType::kReceipt) {
      const auto record = QUIRE_TRY(model::read_record<ReceiptRecord>(entry, entry.type));
      QUIRE_TRY(add_receipt(entry.position, record, block.texts_of(record)));
    } else if (entry.type == EntryType::kStorage) {
      const auto record = QUIRE_TRY(model::read_record<StorageRecord>(entry, entry.type));
      QUIRE_TRY(add_storage(record, block.text(record.tenant), block.text(record.retention)));
    }
  }
  return {};
}

Result<void> ReceiptBill::add_receipt(const model::LedgerPosition& position,
                                      const ReceiptRecord& record, const ReceiptTexts& texts) {
  // Written before a first request: none, and priced where writing is.
  if (record.turn == 0 && text_of(texts, ReceiptText::kRetention).empty()) return {};
  if (record.request_id == 0) return bill_receipt(position, record, texts);
  if (!held_.empty()) drop_held(record, texts);
  return was_cut_short(record) ? hold(position, record, texts)
                               : bill_receipt(position, record, texts);
}

void ReceiptBill::drop_held(const ReceiptRecord& record, const ReceiptTexts& texts) {
  const auto [first, last] = held_.equal_range(record.request_id);
  for (auto at = first; at != last; ++at) {
    const Held& held = at->second;
    const auto has = [&](ReceiptText which) {
      return held.texts[static_cast<size_t>(which)] == text_of(texts, which);
    };
    const bool in_time = record.opened_us - held.record.closed_us < kTriedAgainUs;
    if (in_time && held.record.uid == record.uid &&
        held.record.conversation == record.conversation &&
        held.record.prompt_tokens == record.prompt_tokens && has(ReceiptText::kPayer) &&
        has(ReceiptText::kNamespace) && has(ReceiptText::kModel)) {
      ++counts_.tried_again;
      held_.erase(at);
      return;
    }
  }
}

Result<void> ReceiptBill::hold(const model::LedgerPosition& position, const ReceiptRecord& record,
                               const ReceiptTexts& texts) {
  Held held{.position = position, .record = record, .number = next_number_++};
  for (size_t i = 0; i < texts.size(); ++i) held.texts[i] = texts[i];
  held_order_.emplace_back(record.request_id, held.number);
  held_.emplace(record.request_id, std::move(held));
  return held_order_.size() <= kMostHeld ? Result<void>() : bill_oldest();
}

Result<void> ReceiptBill::bill_oldest() {
  const auto [request, number] = held_order_.front();
  held_order_.pop_front();
  const auto [first, last] = held_.equal_range(request);
  for (auto at = first; at != last; ++at) {
    if (at->second.number != number) continue;
    const Held held = std::move(at->second);
    held_.erase(at);
    return bill_held(held);
  }
  return {};
}

Result<void> ReceiptBill::bill_receipt(const model::LedgerPosition& position,
                                       const ReceiptRecord& record, const ReceiptTexts& texts) {
  const std::string_view payer = text_of(texts, ReceiptText::kPayer);
  if (!is_wanted(record.opened_us, payer)) return {};
  const std::string_view model = text_of(texts, ReceiptText::kModel);
  const std::string_view space = text_of(texts, ReceiptText::kNamespace);
  ++counts_.receipts;
  const Billable request{.instant_us = record.opened_us,
                         .model = model.empty() ? space : model,
                         .tenant = payer,
                         .namespace_name = space,
                         .service_tier = text_of(texts, ReceiptText::kServiceTier),
                         .retention = text_of(texts, ReceiptText::kRetention),
                         .prompt_tokens = record.prompt_tokens,
                         .hit_tokens = record.hit_tokens,
                         .replayed_tokens = record.replayed_tokens,
                         .missed_tokens = record.missed_tokens,
                         .written_tokens = record.written_tokens,
                         .output_tokens = record.output_tokens,
                         .explicit_hit = (record.flags & model::kReceiptExplicit) != 0};
  if (options_.listener == nullptr) return maker_.add(request);
  charges_.clear();
  QUIRE_TRY(maker_.add(request, &charges_));
  options_.listener->receipt({position, record, texts, charges_});
  return {};
}

Result<void> ReceiptBill::bill_held(const Held& held) {
  ReceiptTexts texts;
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = held.texts[i];
  const uint64_t before = counts_.receipts;
  QUIRE_TRY(bill_receipt(held.position, held.record, texts));
  counts_.cut_short += counts_.receipts - before;
  return {};
}

Result<void> ReceiptBill::add_storage(const StorageRecord& record, std::string_view tenant,
                                      std::string_view retention) {
  if (record.tier != model::kAnyTier || !is_wanted(record.from_us, tenant)) return {};
  const std::string name(tenant);
  HourOfStorage& sums = hours_[{record.uid, name, std::string(retention)}];
  // An hour that comes again, the clock being set back, is of the one that is open.
  if (record.from_us / kStorageHourUs > sums.hour) {
    QUIRE_TRY(close_hour({record.uid, name, std::string(retention)}, sums));
    sums.hour = record.from_us / kStorageHourUs;
  }
  sums.token_us += wide(record.token_us);
  sums.byte_us += wide(record.byte_us);
  sums.most_tokens = std::max(sums.most_tokens, record.most_tokens);
  sums.most_bytes = std::max(sums.most_bytes, record.most_bytes);
  return {};
}

Result<void> ReceiptBill::close_hour(const StorageOwner& owner, HourOfStorage& hour) {
  const StoredBillable stored{.begin_us = hour.hour * kStorageHourUs,
                              .end_us = (hour.hour + 1) * kStorageHourUs,
                              .tenant = owner.tenant,
                              .token_seconds = take_seconds(hour.token_us),
                              .byte_seconds = take_seconds(hour.byte_us),
                              .most_tokens = hour.most_tokens,
                              .most_bytes = hour.most_bytes};
  hour.most_tokens = hour.most_bytes = 0;
  if (stored.token_seconds == 0 && stored.byte_seconds == 0 && stored.most_bytes == 0) return {};
  if (options_.listener == nullptr) return maker_.add(stored);
  charges_.clear();
  QUIRE_TRY(maker_.add(stored, &charges_));
  if (charges_.empty()) return {};
  options_.listener->storage({owner.uid, owner.retention, stored, charges_});
  return {};
}

Result<Bill> ReceiptBill::finish() {
  while (!held_order_.empty()) QUIRE_TRY(bill_oldest());
  for (auto& [owner, hour] : hours_) QUIRE_TRY(close_hour(owner, hour));
  hours_.clear();
  return maker_.bill();
}

}  // namespace quire::prices
