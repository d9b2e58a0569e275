#include "server/metering/ledger_item.h"

#include <algorithm>

namespace quire::server {

namespace {

using model::MatchLimit;
using model::ReceiptText;

uint32_t clamped(uint64_t tokens) {
  return static_cast<uint32_t>(std::min<uint64_t>(tokens, UINT32_MAX));
}

void fill_texts(const TurnRecord& record, ItemTexts& texts) {
  const auto set = [&](ReceiptText which, std::string_view text) {
    texts.set(static_cast<size_t>(which), text);
  };
  set(ReceiptText::kTenant, record.tenant);
  set(ReceiptText::kPayer, record.payer);
  set(ReceiptText::kNamespace, record.namespace_name);
  set(ReceiptText::kModel, record.billing.model);
  set(ReceiptText::kServiceTier, record.billing.service_tier);
  set(ReceiptText::kRetention, record.billing.retention);
}

void fill_tokens(const TurnRecord& record, model::ReceiptRecord& receipt) {
  receipt.prompt_tokens = record.prompt_tokens;
  receipt.have_tokens = record.have_tokens;
  for (const model::TierId tier : model::kTiers) {
    const size_t i = model::index_of(tier);
    receipt.announced_tokens[i] = record.announced[tier];
    receipt.delivered_tokens[i] = record.delivered[tier];
    receipt.moved_bytes[i] = record.moved_bytes[i];
  }
  receipt.undelivered_tokens = clamped(record.undelivered_tokens);
  const bool by_group =
      record.limit == MatchLimit::kNoCheckpoint || record.limit == MatchLimit::kGroup;
  (by_group ? receipt.withheld_group_tokens : receipt.withheld_alignment_tokens) =
      record.withheld_tokens;
  receipt.limit_tokens = record.limit_tokens;
  receipt.resumed_tokens = record.resumed_tokens;
  receipt.hit_tokens = record.hit_tokens;
  receipt.replayed_tokens = record.replayed_tokens;
  receipt.missed_tokens = record.missed_tokens;
  receipt.output_tokens = clamped(record.output_tokens);
}

void fill_written(const TurnRecord& record, model::ReceiptRecord& receipt) {
  const WrittenObjects& spans = record.written[static_cast<size_t>(model::FillKind::kSpan)];
  const WrittenObjects& checkpoints =
      record.written[static_cast<size_t>(model::FillKind::kCheckpoint)];
  receipt.written_tokens = clamped(spans.tokens);
  receipt.written_spans = clamped(spans.objects);
  receipt.written_checkpoints = clamped(checkpoints.objects);
  receipt.written_bytes = {spans.bytes, checkpoints.bytes};
}

}  // namespace

void fill_receipt(const TurnRecord& record, int64_t wall_us, LedgerItem& item) {
  model::ReceiptRecord& receipt = item.receipt = {};
  receipt.request_id = record.request_id;
  receipt.session = record.session;
  receipt.conversation = record.conversation;
  receipt.opened_us = wall_us - (record.closed_ns - record.opened_ns) / 1000;
  receipt.closed_us = wall_us;
  receipt.turn = record.turn;
  receipt.uid = record.uid;
  receipt.how = static_cast<uint8_t>(record.how);
  receipt.limit = static_cast<uint8_t>(record.limit);
  receipt.limit_group = record.limit_group;
  receipt.end = static_cast<uint8_t>(record.end);
  receipt.flags = static_cast<uint8_t>((record.billing.is_explicit ? model::kReceiptExplicit : 0) |
                                       (record.late ? model::kReceiptLate : 0));
  fill_tokens(record, receipt);
  fill_written(record, receipt);
  fill_texts(record, item.texts);
}

}  // namespace quire::server
