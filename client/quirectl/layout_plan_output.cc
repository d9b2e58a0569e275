#include <ostream>
#include <sstream>

#include "client/quirectl/answer_output.h"
#include "client/quirectl/layout_output.h"
#include "client/quirectl/layout_plan.h"
#include "client/quirectl/readable.h"
#include "model/check.h"
#include "model/hex_text.h"

namespace quire::client {

namespace {

using model::Layout;

struct TierPlan {
  const char* name = "";
  uint64_t capacity_bytes = 0;
  uint64_t session_bytes = 0;
};

// Those that were asked for.
std::vector<TierPlan> tiers(const SessionPlan& plan, const PlanQuestion& question) {
  std::vector<TierPlan> found;
  if (question.ram_bytes != 0) found.push_back({"ram", question.ram_bytes, plan.ram_bytes});
  if (question.ssd_bytes != 0) found.push_back({"ssd", question.ssd_bytes, plan.ssd_bytes});
  return found;
}

std::string positions_text(const std::vector<uint32_t>& positions) {
  if (positions.size() > 4) return std::to_string(positions.size());
  std::string text = positions.empty() ? "none" : std::to_string(positions.size()) + ", at";
  for (const uint32_t tokens : positions) text += " " + std::to_string(tokens);
  return text;
}

std::vector<std::string> group_cells(const PlannedGroup& group) {
  return {group.name,
          std::string(model::group_kind_name(group.kind)),
          bytes_text(group.page_bytes),
          std::to_string(group.span_pages),
          std::to_string(group.checkpoint_pages),
          bytes_text(group.bytes)};
}

}  // namespace

void write_plan_table(const Layout& layout, const SessionPlan& plan, const PlanQuestion& question,
                      std::ostream& out) {
  std::vector<std::vector<std::string>> rows{
      {"layout", layout.name},
      {"context", std::to_string(plan.context_tokens) + " tokens"},
      {"spans", std::to_string(plan.spans) + " of " + std::to_string(layout.block_tokens) +
                    " tokens, " + bytes_text(plan.span_bytes)},
      {"checkpoints", positions_text(plan.checkpoints) + "; " + bytes_text(plan.checkpoint_bytes)},
      {"a session in RAM", bytes_text(plan.ram_bytes)},
      {"a session on SSD", bytes_text(plan.ssd_bytes)},
      {"tables beside the pool", bytes_text(plan.table_bytes) + " a session"}};
  for (const TierPlan& tier : tiers(plan, question)) {
    const uint64_t count = sessions_in(tier.capacity_bytes, tier.session_bytes);
    rows.push_back({std::string("sessions in ") + tier.name,
                    std::to_string(count) + " in " + bytes_text(tier.capacity_bytes)});
  }
  if (question.ssd_bandwidth != 0) {
    rows.push_back(
        {"cold load from SSD", duration_text(load_ms(plan.load_bytes, question.ssd_bandwidth)) +
                                   " for " + bytes_text(plan.load_bytes) + " at " +
                                   bytes_text(question.ssd_bandwidth) + "/s"});
  }
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row[0].size());
  for (const auto& row : rows) {
    out << row[0] << std::string(width - row[0].size() + 2, ' ') << row[1] << '\n';
  }
  std::vector<std::vector<std::string>> groups;
  for (const PlannedGroup& group : plan.groups) groups.push_back(group_cells(group));
  out << '\n'
      << columns_text({"GROUP", "KIND", ">PAGE", ">SPAN PAGES", ">CHECKPOINT PAGES", ">BYTES"},
                      groups);
}

void write_plan_json(const Layout& layout, const SessionPlan& plan, const PlanQuestion& question,
                     std::ostream& out) {
  out << "{\"schema\":\"quire.layout_plan.v1\",\"layout\":" << json_text(layout.name)
      << ",\"digest\":\"" << model::hex_text(model::layout_digest(layout).bytes)
      << "\",\"context_tokens\":" << plan.context_tokens << ",\"spans\":" << plan.spans
      << ",\"checkpoints\":" << plan.checkpoints.size() << ",\"span_bytes\":" << plan.span_bytes
      << ",\"checkpoint_bytes\":" << plan.checkpoint_bytes
      << ",\"table_bytes\":" << plan.table_bytes << ",\"load_bytes\":" << plan.load_bytes;
  if (question.ssd_bandwidth != 0) {
    out << ",\"ssd_load_ms\":" << load_ms(plan.load_bytes, question.ssd_bandwidth);
  }
  out << ",\"tiers\":[";
  const char* separator = "";
  for (const TierPlan& tier : tiers(plan, question)) {
    out << separator << "{\"tier\":\"" << tier.name
        << "\",\"capacity_bytes\":" << tier.capacity_bytes
        << ",\"session_bytes\":" << tier.session_bytes
        << ",\"sessions\":" << sessions_in(tier.capacity_bytes, tier.session_bytes) << '}';
    separator = ",";
  }
  out << "],\"groups\":[";
  separator = "";
  for (const PlannedGroup& group : plan.groups) {
    out << separator << "{\"name\":" << json_text(group.name) << ",\"kind\":\""
        << model::group_kind_name(group.kind) << "\",\"page_bytes\":" << group.page_bytes
        << ",\"span_pages\":" << group.span_pages
        << ",\"checkpoint_pages\":" << group.checkpoint_pages << ",\"bytes\":" << group.bytes
        << '}';
    separator = ",";
  }
  out << "]}\n";
}

void write_plan_csv(const Layout& layout, const SessionPlan& plan, const PlanQuestion& question,
                    std::ostream& out) {
  std::ostringstream document;
  write_plan_json(layout, plan, question, document);
  const auto rows = answer_csv(
      document.str(), {.list = "tiers", .columns = "tier,capacity_bytes,session_bytes,sessions"});
  QUIRE_CHECK(rows.ok());  // it was written here
  out << *rows;
}

}  // namespace quire::client
