#include "client/quirectl/meter/meter_show.h"

#include <algorithm>
#include <array>
#include <compare>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/meter/json_rows.h"
#include "client/quirectl/meter/stamp.h"

namespace quire::client {

using model::ReceiptText;
using model::Result;
using model::Rollup;
using model::RollupSums;
using model::StreamKind;

namespace {

using SumRow = std::vector<std::string>;

void add_sums(const RollupSums& sums, SumRow& row) {
  for (const uint64_t sum : {sums.turns, sums.prompt_tokens, sums.hit_tokens, sums.replayed_tokens,
                             sums.missed_tokens, sums.output_tokens, sums.written_tokens}) {
    row.push_back(std::to_string(sum));
  }
}

constexpr size_t kLeftColumns = 4;  // texts; numbers stand to the right
constexpr int64_t kShownHourUs = 3600 * kSecondUs;

// Rows of one width a column.
std::string table_text(const std::vector<SumRow>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const SumRow& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const SumRow& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string room(widths[i] - row[i].size(), ' ');
      text += (i == 0 ? "" : "  ") + (i < kLeftColumns ? row[i] + room : room + row[i]);
    }
    text += '\n';
  }
  return text;
}

// Whose sums they are, and of when.
struct SumKey {
  int64_t begin_us = 0;
  uint32_t uid = 0;
  std::array<std::string, model::kRollupTexts> texts;  // by ReceiptText
  friend auto operator<=>(const SumKey&, const SumKey&) = default;

  const std::string& text(ReceiptText which) const { return texts[static_cast<size_t>(which)]; }
  const std::string& model_name() const {
    const std::string& named = text(ReceiptText::kModel);
    return named.empty() ? text(ReceiptText::kNamespace) : named;
  }
};
using SumMap = std::map<SumKey, RollupSums>;

RollupSums total_of(const SumMap& sums) {
  RollupSums total;
  for (const auto& [key, sum] : sums) total.add(sum);
  return total;
}

std::string sums_table(const SumMap& sums) {
  std::vector<SumRow> rows{{"begin", "uid", "payer", "model", "turns", "prompt", "hit", "replayed",
                            "missed", "output", "written"}};
  for (const auto& [key, sum] : sums) {
    rows.push_back({second_text(key.begin_us), std::to_string(key.uid),
                    key.text(ReceiptText::kPayer), key.model_name()});
    add_sums(sum, rows.back());
  }
  rows.push_back({"total", "", "", ""});
  add_sums(total_of(sums), rows.back());
  return table_text(rows);
}

void sum_fields(const RollupSums& sums, FieldSink& sink) {
  sink.number("turns", sums.turns);
  sink.number("interrupted_turns", sums.interrupted_turns);
  sink.number("prompt_tokens", sums.prompt_tokens);
  sink.number("hit_tokens", sums.hit_tokens);
  sink.number("replayed_tokens", sums.replayed_tokens);
  sink.number("missed_tokens", sums.missed_tokens);
  sink.number("output_tokens", sums.output_tokens);
  sink.number("written_tokens", sums.written_tokens);
  sink.number("undelivered_tokens", sums.undelivered_tokens);
  sink.number("withheld_tokens", sums.withheld_tokens);
  constexpr std::array<std::string_view, model::kTierCount> kDelivered{
      "delivered_ram_tokens", "delivered_ssd_tokens", "delivered_cluster_tokens"};
  constexpr std::array<std::string_view, model::kTierCount> kMoved{
      "moved_ram_bytes", "moved_ssd_bytes", "moved_cluster_bytes"};
  for (size_t i = 0; i < model::kTierCount; ++i)
    sink.number(kDelivered[i], sums.delivered_tokens[i]);
  for (size_t i = 0; i < model::kTierCount; ++i) sink.number(kMoved[i], sums.moved_bytes[i]);
  sink.number("written_bytes", sums.written_bytes);
}

std::string sums_json(const SumMap& sums, const std::string& by) {
  std::string text = R"({"schema":"quire.meter.rollups.v1")";
  JsonFields(text).text("by", by);
  text += ",\"rollups\":[";
  for (const auto& [key, sum] : sums) {
    text += text.back() == '[' ? "{" : ",{";
    JsonFields fields(text);
    fields.text("begin", stamp_text(key.begin_us));
    fields.number("begin_us", static_cast<uint64_t>(key.begin_us));
    fields.number("uid", key.uid);
    fields.text("tenant", key.text(ReceiptText::kTenant));
    fields.text("payer", key.text(ReceiptText::kPayer));
    fields.text("namespace", key.text(ReceiptText::kNamespace));
    fields.text("model", key.text(ReceiptText::kModel));
    sum_fields(sum, fields);
    text += '}';
  }
  text += "],\"total\":{";
  JsonFields fields(text);
  sum_fields(total_of(sums), fields);
  return text + "}}\n";
}

// Adds the minutes or hours that begin from `from_us` on, as parts of spans of `length_us`.
Result<void> read_sums(const MeterOptions& options, bool by_hour, int64_t from_us,
                       int64_t length_us, const MeterWindow& window, SumMap& sums) {
  const auto on_rollup = [&](std::string_view payload) -> Result<bool> {
    const Rollup rollup = QUIRE_TRY(model::parse_rollup(payload));
    const int64_t begin_us = rollup.key.begin_us / length_us * length_us;
    if (!window.holds(begin_us) || begin_us < from_us) return true;
    SumKey key{.begin_us = begin_us, .uid = rollup.key.uid, .texts = {}};
    for (size_t i = 0; i < key.texts.size(); ++i) key.texts[i] = rollup.texts[i];
    sums[key].add(rollup.sums);
    return true;
  };
  const model::MeterRequest request{.what = static_cast<uint8_t>(by_hour ? 2 : 1),
                                    .from_us = from_us};
  QUIRE_TRY(read_frames(options.place, request, StreamKind::kRollup, on_rollup));
  return {};
}

// A ledger has no sums of an hour before it is over: what the hours lack is made of minutes.
Result<SumMap> sums_of(const MeterOptions& options) {
  const MeterWindow window = QUIRE_TRY(window_of(options));
  const bool by_hour = options.by == "hour";
  const int64_t length_us = by_hour ? kShownHourUs : 60 * kSecondUs;
  int64_t from_us = std::max<int64_t>(window.from_us, 0);
  SumMap sums;
  QUIRE_TRY(read_sums(options, by_hour, from_us, length_us, window, sums));
  if (!by_hour || !options.place.file.empty()) return sums;
  if (!sums.empty()) from_us = sums.rbegin()->first.begin_us + length_us;
  QUIRE_TRY(read_sums(options, /*by_hour=*/false, from_us, length_us, window, sums));
  return sums;
}

}  // namespace

int run_meter_show(const MeterOptions& options, std::ostream& out, std::ostream& err) {
  const Result<SumMap> sums = sums_of(options);
  if (!sums.ok()) return meter_failure(sums.error(), err);
  out << (options.json ? sums_json(*sums, options.by) : sums_table(*sums));
  return kExitOk;
}

}  // namespace quire::client
