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
using Rows = std::vector<FlatRow>;

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

std::vector<std::string> split(std::string_view columns) {
  std::vector<std::string> names;
  while (!columns.empty()) {
    const size_t comma = std::min(columns.find(','), columns.size());
    names.emplace_back(columns.substr(0, comma));
    columns.remove_prefix(std::min(comma + 1, columns.size()));
  }
  return names;
}

// Columns are those that are given, then others of all rows, in the order in which they come.
std::string rows_csv(const Rows& rows, std::string_view given) {
  std::vector<std::string> columns = split(given);
  for (const FlatRow& row : rows) {
    for (const auto& [key, value] : row) {
      if (std::find(columns.begin(), columns.end(), key) == columns.end()) columns.push_back(key);
    }
  }
  std::string out;
  for (const std::string& column : columns) {
    append_csv_text(out, column);
    out += ',';
  }
  if (!out.empty()) out.back() = '\n';
  for (const FlatRow& cells : rows) {
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

Rows flat_rows(const bj::array& list) {
  Rows rows;
  for (const bj::value& value : list) flatten(value, "", rows.emplace_back());
  return rows;
}

// Null: it has none.
const bj::array* first_list(const bj::object& document) {
  for (const auto& [key, value] : document) {
    if (!value.is_array()) continue;
    const bj::array& array = value.get_array();
    if (!array.empty() && array.front().is_object()) return &array;
  }
  return nullptr;
}

// By its path: "bill.lines". Null: there is none.
const bj::value* value_at(const bj::value& document, std::string_view path) {
  const bj::value* at = &document;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const bj::object* object = at->if_object();
    at = object == nullptr ? nullptr : object->if_contains(bj::string_view(path.data(), dot));
    if (at == nullptr) return nullptr;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at;
}

std::string cell_at(const bj::value& document, std::string_view path) {
  const bj::value* at = value_at(document, path);
  if (at == nullptr) return {};
  if (!at->is_array()) return cell_text(*at);
  std::string cell;
  for (const bj::value& one : at->get_array()) {
    cell.append(cell.empty() ? "" : " ").append(cell_text(one));
  }
  return cell;
}

// nullopt: the document has none of the lists.
std::optional<Rows> rows_of(const bj::value& document, std::string_view lists) {
  std::optional<Rows> rows;
  const bool several = lists.find('|') != std::string_view::npos;
  while (!lists.empty()) {
    const size_t bar = std::min(lists.find('|'), lists.size());
    const std::string_view path = lists.substr(0, bar);
    lists.remove_prefix(std::min(bar + 1, lists.size()));
    const bj::value* list = value_at(document, path);
    if (list == nullptr || !list->is_array()) continue;
    if (!rows) rows.emplace();
    for (const bj::value& value : list->get_array()) {
      FlatRow& row = rows->emplace_back();
      if (several) row.emplace_back("part", path.substr(0, path.find('.')));
      flatten(value, "", row);
    }
  }
  return rows;
}

model::Result<std::string> lines_csv(std::string_view text, std::string_view columns) {
  Rows rows;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    bj::error_code failure;
    const bj::value line = bj::parse(bj::string_view(text.data(), end), failure);
    if (failure || !line.is_object()) {
      return model::make_error(model::Errc::kMalformedFrame, "the answer is no JSON object");
    }
    flatten(line, "", rows.emplace_back());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return rows_csv(rows, columns);
}

}  // namespace

model::Result<std::string> answer_csv(std::string_view text, const CsvForm& form) {
  bj::error_code failure;
  const bj::value document = bj::parse(bj::string_view(text.data(), text.size()), failure);
  if (failure || (!document.is_object() && !document.is_array())) {
    return lines_csv(text, form.columns);
  }
  if (document.is_array()) return rows_csv(flat_rows(document.get_array()), form.columns);
  if (form.list) {
    const std::optional<Rows> rows = rows_of(document, *form.list);
    return rows ? rows_csv(*rows, form.columns) : pairs_csv(document);
  }
  const bj::array* found = first_list(document.get_object());
  return found == nullptr ? pairs_csv(document) : rows_csv(flat_rows(*found), form.columns);
}

std::string csv_row(std::string_view text, std::string_view columns) {
  bj::error_code failure;
  const bj::value line = bj::parse(bj::string_view(text.data(), text.size()), failure);
  if (failure) return {};
  std::string row;
  for (const std::string& column : split(columns)) {
    append_csv_text(row, cell_at(line, column));
    row += ',';
  }
  row.back() = '\n';
  return row;
}

std::string with_schema(std::string_view text, std::string_view name) {
  if (!text.starts_with('{') || text.starts_with("{\"schema\"")) return std::string(text);
  std::string out = "{\"schema\":\"quire." + std::string(name) + ".v1\"";
  if (!text.starts_with("{}")) out += ',';
  return out.append(text.substr(1));
}

}  // namespace quire::client
