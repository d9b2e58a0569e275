// Assertions of toml++ are switched off: in 3.3 two of them ("[[,", "[}") are wrong about malformed
// text that the lines behind them then report as an error. Without NDEBUG, so that they do not
// become assumptions of the optimiser either.
#define TOML_EXCEPTIONS 0
#define TOML_ASSERT(expression) static_cast<void>(0)
#undef NDEBUG
#include "model/toml_table.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <sstream>
#include <utility>

#include "model/nearest_name.h"

namespace quire::model {

struct TomlTable::File {
  toml::table root;
  std::string path;  // empty: errors name tables, not lines
};

namespace {

constexpr int64_t kUsPerSecond = 1'000'000;

const toml::table& values_of(const void* table) { return *static_cast<const toml::table*>(table); }

std::string quoted(std::string_view key) { return "'" + std::string(key) + "'"; }

std::string missing(std::string_view key) { return "missing key " + quoted(key); }

std::optional<std::chrono::sys_days> days_of(const toml::date& date) {
  const std::chrono::year_month_day day{std::chrono::year(date.year),
                                        std::chrono::month(date.month), std::chrono::day(date.day)};
  if (!day.ok()) return std::nullopt;
  return std::chrono::sys_days(day);
}

std::optional<int64_t> us_of(const toml::date_time& given) {
  const auto day = days_of(given.date);
  if (!day || !given.offset || day->time_since_epoch().count() < 0) return std::nullopt;
  const int64_t seconds = int64_t{day->time_since_epoch().count()} * 86400 +
                          given.time.hour * 3600 + given.time.minute * 60 + given.time.second -
                          given.offset->minutes * 60;
  return seconds * kUsPerSecond + given.time.nanosecond / 1000;
}

Result<const toml::array*> array_of(const TomlTable& table, std::string_view key,
                                    const toml::node* node, size_t limit) {
  const toml::array* array = node->as_array();
  if (array == nullptr) return table.wrong_at(key, quoted(key) + " must be an array");
  if (array->size() <= limit) return array;
  return table.wrong_at(key, quoted(key) + " has more than " + std::to_string(limit) + " entries");
}

Result<toml::table> parse_toml(std::string_view text, const std::string& line_prefix) {
  toml::parse_result parsed = toml::parse(text);
  if (parsed) return std::move(parsed).table();
  return make_error(Errc::kInvalidArgument, line_prefix +
                                                std::to_string(parsed.error().source().begin.line) +
                                                ": " + std::string(parsed.error().description()));
}

}  // namespace

Result<TomlTable> TomlTable::parse(std::string_view text, std::string where) {
  toml::table parsed = QUIRE_TRY(parse_toml(text, "line "));
  auto file = std::make_shared<const File>(File{std::move(parsed), {}});
  const void* root = &file->root;
  return TomlTable(std::move(file), root, std::move(where));
}

Result<TomlTable> TomlTable::parse_file(std::string_view text, std::string path) {
  toml::table parsed = QUIRE_TRY(parse_toml(text, path + ":"));
  auto file = std::make_shared<const File>(File{std::move(parsed), path});
  const void* root = &file->root;
  return TomlTable(std::move(file), root, std::move(path));
}

Error TomlTable::wrong(std::string_view what) const { return wrong_at({}, what); }

Error TomlTable::wrong_at(std::string_view key, std::string_view what) const {
  if (file_->path.empty()) {
    return make_error(Errc::kInvalidArgument, where_ + ": " + std::string(what));
  }
  uint32_t at = line();
  for (const auto& [name, value] : values_of(table_)) {
    if (name.str() == key) at = name.source().begin.line;
  }
  return make_error(Errc::kInvalidArgument,
                    file_->path + ":" + std::to_string(at) + ": " + std::string(what));
}

uint32_t TomlTable::line() const {
  return std::max<uint32_t>(values_of(table_).source().begin.line, 1);
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, value] : values_of(table_)) names.emplace_back(key.str());
  return names;
}

bool TomlTable::has(std::string_view key) const { return values_of(table_).contains(key); }

Result<void> TomlTable::check_keys(std::span<const std::string_view> known) const {
  for (const auto& [key, value] : values_of(table_)) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    return wrong_at(key.str(), "unknown key '" + std::string(key.str()) + "'; nearest is '" +
                                   std::string(nearest_name(key.str(), known)) + "'");
  }
  return {};
}

Result<uint64_t> TomlTable::number(std::string_view key, uint64_t limit,
                                   std::optional<uint64_t> fallback) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr && fallback) return *fallback;
  if (node == nullptr) return wrong(missing(key));
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < 0 || static_cast<uint64_t>(number->get()) > limit) {
    return wrong_at(key,
                    quoted(key) + " must be a whole number from 0 to " + std::to_string(limit));
  }
  return static_cast<uint64_t>(number->get());
}

Result<std::string> TomlTable::text(std::string_view key,
                                    std::optional<std::string> fallback) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr && fallback) return *fallback;
  if (node == nullptr) return wrong(missing(key));
  const auto* text = node->as_string();
  if (text == nullptr) return wrong_at(key, quoted(key) + " must be a text in quotes");
  return text->get();
}

Result<bool> TomlTable::flag(std::string_view key) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return false;
  const auto* flag = node->as_boolean();
  if (flag == nullptr) return wrong_at(key, quoted(key) + " must be true or false");
  return flag->get();
}

Result<size_t> TomlTable::choice(std::string_view key, std::span<const std::string_view> names,
                                 std::optional<std::string> fallback) const {
  const std::string given = QUIRE_TRY(text(key, std::move(fallback)));
  const auto found = std::find(names.begin(), names.end(), given);
  if (found == names.end()) {
    return wrong_at(key, "unknown " + std::string(key) + " '" + given + "'; nearest is '" +
                             std::string(nearest_name(given, names)) + "'");
  }
  return static_cast<size_t>(found - names.begin());
}

Result<int64_t> TomlTable::instant_us(std::string_view key) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return wrong(missing(key));
  const auto* given = node->as_date_time();
  const std::optional<int64_t> instant =
      given == nullptr ? std::optional<int64_t>() : us_of(given->get());
  if (instant) return *instant;
  return wrong_at(key, quoted(key) +
                           " must be an instant with its offset from UTC, such as "
                           "2026-08-16T16:00:00Z, from 1970 on");
}

Result<std::chrono::sys_days> TomlTable::date(std::string_view key) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return wrong(missing(key));
  const auto* given = node->as_date();
  const auto day =
      given == nullptr ? std::optional<std::chrono::sys_days>() : days_of(given->get());
  if (day) return *day;
  return wrong_at(key, quoted(key) + " must be a date, such as 2026-10-01");
}

Result<std::vector<std::chrono::sys_days>> TomlTable::dates(std::string_view key,
                                                            size_t limit) const {
  std::vector<std::chrono::sys_days> found;
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return found;
  for (const toml::node& one : *QUIRE_TRY(array_of(*this, key, node, limit))) {
    const auto* given = one.as_date();
    const auto day =
        given == nullptr ? std::optional<std::chrono::sys_days>() : days_of(given->get());
    if (!day) return wrong_at(key, quoted(key) + " must be dates, such as [2026-10-10]");
    found.push_back(*day);
  }
  return found;
}

Result<std::vector<std::string>> TomlTable::texts(std::string_view key, size_t limit) const {
  std::vector<std::string> found;
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return found;
  for (const toml::node& one : *QUIRE_TRY(array_of(*this, key, node, limit))) {
    const auto* text = one.as_string();
    if (text == nullptr) return wrong_at(key, quoted(key) + " must be texts in quotes");
    found.push_back(text->get());
  }
  return found;
}

Result<std::vector<uint64_t>> TomlTable::numbers(std::string_view key, uint64_t limit,
                                                 size_t count) const {
  std::vector<uint64_t> found;
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return found;
  for (const toml::node& one : *QUIRE_TRY(array_of(*this, key, node, count))) {
    const auto* number = one.as_integer();
    if (number == nullptr || number->get() < 0 || static_cast<uint64_t>(number->get()) > limit) {
      return wrong_at(key,
                      quoted(key) + " must be whole numbers from 0 to " + std::to_string(limit));
    }
    found.push_back(static_cast<uint64_t>(number->get()));
  }
  return found;
}

Result<TomlTable> TomlTable::table(std::string_view key) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return wrong(missing(key));
  const toml::table* one = node->as_table();
  if (one == nullptr) return wrong_at(key, quoted(key) + " must be a table");
  return TomlTable(file_, one, where_ + ", " + std::string(key));
}

Result<std::vector<TomlTable>> TomlTable::tables(std::string_view key, const std::string& item,
                                                 size_t limit) const {
  std::vector<TomlTable> found;
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return found;
  const toml::array* array = node->as_array();
  if (array == nullptr) return wrong_at(key, quoted(key) + " must be an array of tables");
  if (array->size() > limit) {
    return wrong_at(key, quoted(key) + " has more than " + std::to_string(limit) + " entries");
  }
  for (size_t i = 0; i < array->size(); ++i) {
    const toml::table* one = array->get(i)->as_table();
    const std::string name = item + " " + std::to_string(i);
    if (one == nullptr && file_->path.empty()) {
      return make_error(Errc::kInvalidArgument, name + ": must be a table");
    }
    if (one == nullptr) return wrong_at(key, name + " must be a table");
    found.push_back(TomlTable(file_, one, name));
  }
  return found;
}

std::string toml_quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

Result<std::string> read_text_file(const std::string& path, size_t limit) {
  const auto close = [](FILE* file) { std::fclose(file); };
  const std::unique_ptr<FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (file == nullptr && errno == ENOENT) {
    return make_error(Errc::kNotFound, path + ": no such file");
  }
  if (file == nullptr) return errno_error(path);
  std::string text(limit + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return errno_error(path);
  if (text.size() <= limit) return text;
  return make_error(Errc::kInvalidArgument,
                    path + ": larger than " + std::to_string(limit >> 20) + " MiB");
}

}  // namespace quire::model
