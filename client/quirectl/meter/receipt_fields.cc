#include "client/quirectl/meter/receipt_fields.h"

#include <array>
#include <string>

#include "client/quirectl/meter/field_text.h"
#include "client/quirectl/meter/stamp.h"
#include "model/ids.h"

namespace quire::client {

using model::ReceiptText;

namespace {

constexpr std::array<std::string_view, 5> kHow{"unsaid", "exact", "span", "cut", "nothing"};
constexpr std::array<std::string_view, 5> kLimits{"end_of_prompt", "no_span", "no_checkpoint",
                                                  "group", "deadline"};

// By TierId.
constexpr std::array<std::string_view, model::kTierCount> kAnnounced{
    "announced_ram_tokens", "announced_ssd_tokens", "announced_cluster_tokens"};
constexpr std::array<std::string_view, model::kTierCount> kDelivered{
    "delivered_ram_tokens", "delivered_ssd_tokens", "delivered_cluster_tokens"};
constexpr std::array<std::string_view, model::kTierCount> kMoved{
    "moved_ram_bytes", "moved_ssd_bytes", "moved_cluster_bytes"};

template <size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, uint8_t value) {
  return value < N ? names[value] : std::string_view("unknown");
}

// Instants come twice: for people, and as they stand in the ledger. No clock is before 1970.
void instants(std::string_view name, std::string_view name_us, int64_t us, FieldSink& sink) {
  sink.text(name, stamp_text(us));
  sink.number(name_us, static_cast<uint64_t>(us));
}

// An engine's own number; 0: it gave none.
void engine_id(std::string_view name, uint64_t id, FieldSink& sink) {
  if (id == 0) return sink.none(name);
  sink.text(name, std::to_string(id));
}

template <typename Values>
void by_tier(const std::array<std::string_view, model::kTierCount>& names, const Values& values,
             FieldSink& sink) {
  for (size_t tier = 0; tier < names.size(); ++tier) sink.number(names[tier], values[tier]);
}

void who_and_when(const ReceiptView& receipt, FieldSink& sink) {
  const model::ReceiptRecord& record = receipt.record;
  sink.text("id", to_text(receipt.position));
  instants("opened", "opened_us", record.opened_us, sink);
  instants("closed", "closed_us", record.closed_us, sink);
  engine_id("request_id", record.request_id, sink);
  sink.text("session", std::to_string(record.session));
  sink.number("turn", record.turn);
  engine_id("conversation", record.conversation, sink);
  sink.number("uid", record.uid);
  sink.text("tenant", receipt.text(ReceiptText::kTenant));
  sink.text("payer", receipt.text(ReceiptText::kPayer));
  sink.text("namespace", receipt.text(ReceiptText::kNamespace));
  sink.text("model", receipt.text(ReceiptText::kModel));
  sink.text("service_tier", receipt.text(ReceiptText::kServiceTier));
  sink.text("retention", receipt.text(ReceiptText::kRetention));
  sink.flag("explicit", (record.flags & model::kReceiptExplicit) != 0);
}

void what_was_billed(const model::ReceiptRecord& record, FieldSink& sink) {
  sink.number("prompt_tokens", record.prompt_tokens);
  sink.number("hit_tokens", record.hit_tokens);
  sink.number("replayed_tokens", record.replayed_tokens);
  sink.number("missed_tokens", record.missed_tokens);
  sink.number("output_tokens", record.output_tokens);
  sink.number("written_tokens", record.written_tokens);
}

void why(const model::ReceiptRecord& record, FieldSink& sink) {
  sink.number("resumed_tokens", record.resumed_tokens);
  sink.text("how", name_of(kHow, record.how));
  sink.number("have_tokens", record.have_tokens);
  by_tier(kAnnounced, record.announced_tokens, sink);
  by_tier(kDelivered, record.delivered_tokens, sink);
  sink.number("undelivered_tokens", record.undelivered_tokens);
  sink.number("withheld_alignment_tokens", record.withheld_alignment_tokens);
  sink.number("withheld_group_tokens", record.withheld_group_tokens);
  sink.text("limit", name_of(kLimits, record.limit));
  sink.number("limit_tokens", record.limit_tokens);
  if (record.limit == static_cast<uint8_t>(model::MatchLimit::kGroup)) {
    sink.number("limit_group", record.limit_group);
  } else {
    sink.none("limit_group");
  }
  sink.flag("late", (record.flags & model::kReceiptLate) != 0);
}

}  // namespace

std::string_view storage_tier(const model::StorageRecord& record) {
  return record.tier == model::kAnyTier ? "any" : name_of(model::kTierNames, record.tier);
}

void receipt_fields(const ReceiptView& receipt, FieldSink& sink) {
  const model::ReceiptRecord& record = receipt.record;
  who_and_when(receipt, sink);
  what_was_billed(record, sink);
  why(record, sink);
  by_tier(kMoved, record.moved_bytes, sink);
  sink.number("written_spans", record.written_spans);
  sink.number("written_checkpoints", record.written_checkpoints);
  sink.number("written_span_bytes", record.written_bytes[0]);
  sink.number("written_checkpoint_bytes", record.written_bytes[1]);
  sink.text("end", name_of(model::kReceiptEnds, record.end));
}

void storage_fields(const StorageView& storage, FieldSink& sink) {
  const model::StorageRecord& record = storage.record;
  sink.text("id", to_text(storage.position));
  instants("from", "from_us", record.from_us, sink);
  instants("to", "to_us", record.to_us, sink);
  sink.number("uid", record.uid);
  sink.text("tenant", storage.tenant);
  sink.text("retention", storage.retention);
  sink.text("tier", storage_tier(record));
  sink.text("byte_us", wide_text(record.byte_us));
  sink.text("token_us", wide_text(record.token_us));
  sink.number("most_bytes", record.most_bytes);
  sink.number("most_tokens", record.most_tokens);
}

void lost_fields(const LostView& lost, FieldSink& sink) {
  sink.text("id", to_text(lost.position));
  instants("from", "from_us", lost.record.from_us, sink);
  instants("to", "to_us", lost.record.to_us, sink);
  sink.number("receipts", lost.record.receipts);
  sink.number("prompt_tokens", lost.record.prompt_tokens);
  sink.number("hit_tokens", lost.record.hit_tokens);
}

void unknown_fields(const UnknownView& unknown, FieldSink& sink) {
  sink.text("id", to_text(unknown.position));
  instants("from", "from_us", unknown.record.unknown_from_us, sink);
  instants("to", "to_us", unknown.record.unknown_to_us, sink);
  sink.number("recovered_turns", unknown.record.recovered_turns);
}

}  // namespace quire::client
