#include "client/quirectl/status/status_facts.h"

#include <boost/json.hpp>

namespace quire::client {

namespace {

using JsonValue = boost::json::value;
using JsonObject = boost::json::object;

model::Result<JsonValue> parse_document(std::string_view text) {
  boost::json::error_code failure;
  JsonValue value = boost::json::parse(boost::json::string_view(text.data(), text.size()), failure);
  if (!failure && value.is_object()) return value;
  return model::make_error(model::Errc::kMalformedFrame, "the daemon's answer is no JSON object");
}

const JsonValue* find_value(const JsonValue& from, const char* pointer) {
  boost::json::error_code absent;
  return from.find_pointer(pointer, absent);
}

uint64_t whole_at(const JsonValue& from, const char* pointer) {
  const JsonValue* found = find_value(from, pointer);
  boost::json::error_code wrong;
  const auto number = found == nullptr ? 0 : found->to_number<uint64_t>(wrong);
  return wrong ? 0 : number;
}

double fraction_at(const JsonValue& from, const char* pointer) {
  const JsonValue* found = find_value(from, pointer);
  boost::json::error_code wrong;
  const auto number = found == nullptr ? 0 : found->to_number<double>(wrong);
  return wrong ? 0 : number;
}

std::string word_at(const JsonValue& from, const char* pointer) {
  const JsonValue* found = find_value(from, pointer);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

template <typename Visit>
void for_each_row(const JsonValue& document, const char* pointer, Visit visit) {
  const JsonValue* list = find_value(document, pointer);
  if (list == nullptr || !list->is_array()) return;
  for (const JsonValue& row : list->get_array()) visit(row);
}

// What is written to RAM is counted where objects become visible.
void add_ram(const JsonValue& document, TierFacts& tier) {
  tier.written_bytes = whole_at(document, "/cache/committed_bytes");
  if (tier.reason.empty()) tier.reason = word_at(document, "/memory/failure");
}

TierFacts tier_of_row(const JsonValue& document, const JsonValue& row) {
  TierFacts tier{.name = word_at(row, "/tier"),
                 .state = word_at(row, "/state"),
                 .reason = word_at(row, "/reason"),
                 .action = word_at(row, "/action"),
                 .limits = word_at(row, "/waits_for"),
                 .used_bytes = whole_at(row, "/used_bytes"),
                 .capacity_bytes = whole_at(row, "/capacity_bytes"),
                 .spans = whole_at(row, "/spans"),
                 .checkpoints = whole_at(row, "/checkpoints"),
                 .queued = whole_at(row, "/queued"),
                 .written_bytes = whole_at(row, "/written/bytes"),
                 .read_bytes = whole_at(row, "/read/bytes")};
  if (tier.limits.empty()) tier.limits = word_at(row, "/limited_by");
  if (tier.name == "ram") add_ram(document, tier);
  return tier;
}

}  // namespace

model::Result<DaemonFacts> read_status(std::string_view text) {
  const JsonValue document = QUIRE_TRY(parse_document(text));
  DaemonFacts facts{.scope = word_at(document, "/scope"),
                    .state = word_at(document, "/state"),
                    .epoch = whole_at(document, "/daemon_epoch"),
                    .connected = whole_at(document, "/clients/connected"),
                    .sessions = whole_at(document, "/clients/sessions"),
                    .leases = whole_at(document, "/cache/leases"),
                    .tiers = {},
                    .segment_bytes = whole_at(document, "/memory/segments_given_out") *
                                     whole_at(document, "/memory/segment_bytes"),
                    .huge_page_bytes = whole_at(document, "/memory/huge_page_bytes"),
                    .ledger = {.state = word_at(document, "/ledger/state"),
                               .reason = word_at(document, "/ledger/reason"),
                               .action = word_at(document, "/ledger/action"),
                               .waiting = whole_at(document, "/ledger/waiting"),
                               .lost = whole_at(document, "/ledger/lost_receipts")},
                    .turns = whole_at(document, "/turns/ended"),
                    .prompt_tokens = whole_at(document, "/turns/prompt_tokens"),
                    .hit_tokens = whole_at(document, "/turns/hit_tokens"),
                    .recent_prompt_tokens = whole_at(document, "/turns/recent_prompt_tokens"),
                    .recent_hit_tokens = whole_at(document, "/turns/recent_hit_tokens"),
                    .matches = whole_at(document, "/cache/matches"),
                    .committed_bytes = whole_at(document, "/cache/committed_bytes"),
                    .delivered_pages = whole_at(document, "/cache/delivered_pages")};
  for_each_row(document, "/tiers",
               [&](const JsonValue& row) { facts.tiers.push_back(tier_of_row(document, row)); });
  return facts;
}

model::Result<WindowFacts> read_window(std::string_view text) {
  const JsonValue document = QUIRE_TRY(parse_document(text));
  return WindowFacts{.prompt_tokens = whole_at(document, "/prompt_tokens"),
                     .hit_percent = fraction_at(document, "/hit_percent"),
                     .ceiling_percent = fraction_at(document, "/ceiling_percent")};
}

model::Result<Census<SessionFacts>> read_sessions(std::string_view text) {
  const JsonValue document = QUIRE_TRY(parse_document(text));
  Census<SessionFacts> census{.total = whole_at(document, "/sessions_total"), .rows = {}};
  for_each_row(document, "/sessions", [&](const JsonValue& row) {
    census.rows.push_back({.number = whole_at(row, "/session"),
                           .domain = word_at(row, "/domain"),
                           .tenant = word_at(row, "/tenant"),
                           .namespace_name = word_at(row, "/namespace"),
                           .processes = whole_at(row, "/processes"),
                           .idle_ms = whole_at(row, "/idle_ms"),
                           .turns = whole_at(row, "/turns"),
                           .prompt_tokens = whole_at(row, "/prompt_tokens"),
                           .hit_tokens = whole_at(row, "/hit_tokens"),
                           .leases = whole_at(row, "/leases")});
  });
  return census;
}

model::Result<Census<TenantFacts>> read_tenants(std::string_view text) {
  const JsonValue document = QUIRE_TRY(parse_document(text));
  Census<TenantFacts> census{.total = whole_at(document, "/tenants_total"), .rows = {}};
  for_each_row(document, "/tenants", [&](const JsonValue& row) {
    census.rows.push_back({.domain = word_at(row, "/domain"),
                           .tenant = word_at(row, "/tenant"),
                           .sessions = whole_at(row, "/sessions"),
                           .ram_bytes = whole_at(row, "/ram_bytes"),
                           .ssd_bytes = whole_at(row, "/ssd_bytes")});
  });
  return census;
}

}  // namespace quire::client
