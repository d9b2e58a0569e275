#include "client/quirectl/answer_output.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "client/quirectl/meter/field_text.h"

namespace quire::client {

namespace {

namespace bj = boost::json;
using FlatRow = std::vector<std::pair<std::string, std::string>>;  // key, value

// Fractions as JSON writes them: spreadsheets read 5E-1.
std::string cell_text(const bj::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return value.is_null() ? std::string() : bj::serialize(value);
}

void flatten(const bj::value& value, const std::string& key, FlatRow& cells) {
  if (value.is_object()) {
    for (const auto& [name, inner] : value.get_object()) {
      flatten(inner, key.empty() ? std::string(name) : key + "." + std::string(name), cells);
    }
  } else if (value.is_array()) {
    size_t number = 0;
    for (const bj::value& inner : value.get_array()) {
      flatten(inner, key + "." + std::to_string(number++), cells);
    }
  } else {
    cells.emplace_back(key, cell_text(value));
  }
}

std::string pairs_csv(const bj::value& document) {
  FlatRow cells;
  flatten(document, "", cells);
  std::string out = "key,value\n";
  for (const auto& [key, value] : cells) {
    append_csv_text(out, key);
    out += ',';
    append_csv_text(out, value);
    out += '\n';
  }
  return out;
}

// Columns are those of all rows, in the order in which they come.
std::string rows_csv(const std::vector<const bj::value*>& rows) {
  std::vector<FlatRow> flat;
  std::vector<std::string> columns;
  for (const bj::value* row : rows) {
    flatten(*row, "", flat.emplace_back());
    for (const auto& [key, value] : flat.back()) {
      if (std::find(columns.begin(), columns.end(), key) == columns.end()) columns.push_back(key);
    }
  }
  std::string out;
  for (const std::string& column : columns) {
    append_csv_text(out, column);
    out += ',';
  }
  if (!out.empty()) out.back() = '\n';
  for (const FlatRow& cells : flat) {
    for (const std::string& column : columns) {
      const auto cell = std::find_if(cells.begin(), cells.end(),
                                     [&](const auto& one) { return one.first == column; });
      if (cell != cells.end()) append_csv_text(out, cell->second);
      out += ',';
    }
    out.back() = '\n';
  }
  return out;
}

std::vector<const bj::value*> rows_of(const bj::array& list) {
  std::vector<const bj::value*> rows;
  for (const bj::value& row : list) rows.push_back(&row);
  return rows;
}

// Null: it has none.
const bj::array* find_list(const bj::object& document, std::optional<std::string_view> list) {
  for (const auto& [key, value] : document) {
    if (!value.is_array()) continue;
    const bj::array& array = value.get_array();
    const bool wanted =
        list ? std::string_view(key) == *list : !array.empty() && array.front().is_object();
    if (wanted) return &array;
  }
  return nullptr;
}

model::Result<std::string> lines_csv(std::string_view text) {
  std::vector<bj::value> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    bj::error_code failure;
    lines.push_back(bj::parse(bj::string_view(text.data(), end), failure));
    if (failure || !lines.back().is_object()) {
      return model::make_error(model::Errc::kMalformedFrame, "the answer is no JSON object");
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  std::vector<const bj::value*> rows;
  for (const bj::value& line : lines) rows.push_back(&line);
  return rows_csv(rows);
}

}  // namespace

model::Result<std::string> answer_csv(std::string_view text, std::optional<std::string_view> list) {
  bj::error_code failure;
  const bj::value document = bj::parse(bj::string_view(text.data(), text.size()), failure);
  if (!failure && document.is_array()) return rows_csv(rows_of(document.get_array()));
  if (failure || !document.is_object()) return lines_csv(text);
  const bj::array* found = find_list(document.get_object(), list);
  return found == nullptr ? pairs_csv(document) : rows_csv(rows_of(*found));
}

std::string with_schema(std::string_view text, std::string_view name) {
  if (!text.starts_with('{') || text.starts_with("{\"schema\"")) return std::string(text);
  std::string out = "{\"schema\":\"quire." + std::string(name) + ".v1\"";
  if (!text.starts_with("{}")) out += ',';
  return out.append(text.substr(1));
}

}  // namespace quire::client
