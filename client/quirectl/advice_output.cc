#include "client/quirectl/advice_output.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "client/quirectl/whole_document.h"

namespace quire::client {

namespace {

namespace json = boost::json;
using model::Result;

constexpr std::string_view kNow = "0%";

struct AdviceRow {
  std::string policy;
  std::string size;
  double percent = 0;
  double error_points = 0;
};

struct AdviceDocument {
  std::string tier;
  std::string window;
  std::string present;
  double prompt_tokens = 0;
  double hit_percent = 0;
  double ceiling_percent = 0;
  std::vector<AdviceRow> rows;
};

std::string text_of(const json::object& object, std::string_view key) {
  return std::string(object.at(key).as_string());
}

AdviceDocument read(const json::object& object) {
  AdviceDocument advice{.tier = text_of(object, "tier"),
                        .window = text_of(object, "window"),
                        .present = text_of(object, "policy"),
                        .prompt_tokens = object.at("prompt_tokens").to_number<double>(),
                        .hit_percent = object.at("hit_percent").to_number<double>(),
                        .ceiling_percent = object.at("ceiling_percent").to_number<double>(),
                        .rows = {}};
  for (const json::value& value : object.at("rows").as_array()) {
    const json::object& row = value.as_object();
    advice.rows.push_back({.policy = text_of(row, "policy"),
                           .size = text_of(row, "size"),
                           .percent = row.at("hit_percent").to_number<double>(),
                           .error_points = row.at("error_points").to_number<double>()});
  }
  return advice;
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

// In the order in which they come.
std::vector<std::string> sizes_of(const AdviceDocument& advice) {
  std::vector<std::string> sizes;
  for (const AdviceRow& row : advice.rows) {
    if (std::find(sizes.begin(), sizes.end(), row.size) == sizes.end()) sizes.push_back(row.size);
  }
  return sizes;
}

struct CheckpointRow {
  std::string policy;
  double percent = 0;
  double bytes_per_hour = 0;
};

struct CheckpointDocument {
  std::string window;
  std::string present;
  double prompt_tokens = 0;
  double percent = 0;
  double bytes_per_hour = 0;
  std::vector<CheckpointRow> rows;
};

CheckpointDocument read_checkpoints(const json::object& object) {
  CheckpointDocument advice{
      .window = text_of(object, "window"),
      .present = text_of(object, "policy"),
      .prompt_tokens = object.at("prompt_tokens").to_number<double>(),
      .percent = object.at("exact_percent").to_number<double>(),
      .bytes_per_hour = object.at("written_bytes_per_hour").to_number<double>(),
      .rows = {}};
  for (const json::value& value : object.at("rows").as_array()) {
    const json::object& row = value.as_object();
    advice.rows.push_back({.policy = text_of(row, "policy"),
                           .percent = row.at("exact_percent").to_number<double>(),
                           .bytes_per_hour = row.at("written_bytes_per_hour").to_number<double>()});
  }
  return advice;
}

constexpr double kMiB = 1 << 20;

}  // namespace

Result<std::string> checkpoint_advice_table(std::string_view text) {
  const CheckpointDocument advice = QUIRE_TRY(read_whole(text, "advice", read_checkpoints));
  std::string out = "checkpoints, last " + advice.window + ": " +
                    format("%.0f", advice.prompt_tokens) + " prompt tokens, resumed " +
                    format("%.1f", advice.percent) + " %, " +
                    format("%.1f", advice.bytes_per_hour / kMiB) + " MiB written an hour\n";
  if (advice.prompt_tokens == 0) return out + "nothing was asked for yet\n";
  out += "                would resume, %  would write, MiB/h\n";
  for (const CheckpointRow& row : advice.rows) {
    char name[40];
    std::snprintf(name, sizeof(name), "%-16s",
                  (row.policy + (row.policy == advice.present ? " *" : "")).c_str());
    out +=
        name + format("%15.1f", row.percent) + format("%20.1f", row.bytes_per_hour / kMiB) + "\n";
  }
  return out + "* asked for now\n";
}

Result<std::string> advice_table(std::string_view text) {
  const AdviceDocument advice = QUIRE_TRY(read_whole(text, "advice", read));
  std::string out = advice.tier + ", last " + advice.window + ": " +
                    format("%.0f", advice.prompt_tokens) + " prompt tokens, hit " +
                    format("%.1f", advice.hit_percent) + " %, ceiling " +
                    format("%.1f", advice.ceiling_percent) + " % (an infinite cache)\n";
  if (advice.rows.empty()) return out + "nothing was asked for yet\n";
  const std::vector<std::string> sizes = sizes_of(advice);
  out += "would hit, %    ";
  for (const std::string& size : sizes) {
    char column[32];
    std::snprintf(column, sizeof(column), "%8s", size == kNow ? "now" : size.c_str());
    out += column;
  }
  out += "   +- now\n";
  for (size_t i = 0; i < advice.rows.size();) {
    const std::string& policy = advice.rows[i].policy;
    char name[32];
    std::snprintf(name, sizeof(name), "%-16s",
                  (policy + (policy == advice.present ? " *" : "")).c_str());
    out += name;
    double error_points = 0;
    for (; i < advice.rows.size() && advice.rows[i].policy == policy; ++i) {
      out += format("%8.1f", advice.rows[i].percent);
      if (advice.rows[i].size == kNow) error_points = advice.rows[i].error_points;
    }
    out += format("%9.1f", error_points) + "\n";
  }
  return out + "* in charge now\n";
}

Result<AdviceFigures> advice_figures(std::string_view text) {
  const AdviceDocument advice = QUIRE_TRY(read_whole(text, "advice", read));
  AdviceFigures figures{.window = advice.window,
                        .prompt_tokens = advice.prompt_tokens,
                        .hit_percent = advice.hit_percent,
                        .ceiling_percent = advice.ceiling_percent,
                        .rows = {}};
  for (const AdviceRow& row : advice.rows) {
    figures.rows.push_back({row.policy, row.size, row.percent});
  }
  return figures;
}

Result<AdvisedPolicy> advised_policy(std::string_view text) {
  const AdviceDocument advice = QUIRE_TRY(read_whole(text, "advice", read));
  const AdviceRow* best = nullptr;
  for (const AdviceRow& row : advice.rows) {
    if (row.size != kNow) continue;
    if (best == nullptr || row.percent > best->percent) best = &row;
  }
  return AdvisedPolicy{.name = best == nullptr ? std::string() : best->policy,
                       .prompt_tokens = advice.prompt_tokens};
}

}  // namespace quire::client
