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
};

namespace {

const toml::table& values_of(const void* table) { return *static_cast<const toml::table*>(table); }

}  // namespace

Result<TomlTable> TomlTable::parse(std::string_view text, std::string where) {
  toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return make_error(Errc::kInvalidArgument,
                      "line " + std::to_string(parsed.error().source().begin.line) + ": " +
                          std::string(parsed.error().description()));
  }
  auto file = std::make_shared<const File>(File{std::move(parsed).table()});
  const void* root = &file->root;
  return TomlTable(std::move(file), root, std::move(where));
}

Error TomlTable::wrong(std::string_view what) const {
  return make_error(Errc::kInvalidArgument, where_ + ": " + std::string(what));
}

bool TomlTable::has(std::string_view key) const { return values_of(table_).contains(key); }

Result<void> TomlTable::check_keys(std::span<const std::string_view> known) const {
  for (const auto& [key, value] : values_of(table_)) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    return wrong("unknown key '" + std::string(key.str()) + "'; nearest is '" +
                 std::string(nearest_name(key.str(), known)) + "'");
  }
  return {};
}

Result<uint64_t> TomlTable::number(std::string_view key, uint64_t limit,
                                   std::optional<uint64_t> fallback) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr && fallback) return *fallback;
  if (node == nullptr) return wrong("missing key '" + std::string(key) + "'");
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < 0 || static_cast<uint64_t>(number->get()) > limit) {
    return wrong("'" + std::string(key) + "' must be a whole number from 0 to " +
                 std::to_string(limit));
  }
  return static_cast<uint64_t>(number->get());
}

Result<std::string> TomlTable::text(std::string_view key,
                                    std::optional<std::string> fallback) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr && fallback) return *fallback;
  if (node == nullptr) return wrong("missing key '" + std::string(key) + "'");
  const auto* text = node->as_string();
  if (text == nullptr) return wrong("'" + std::string(key) + "' must be a text in quotes");
  return text->get();
}

Result<bool> TomlTable::flag(std::string_view key) const {
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return false;
  const auto* flag = node->as_boolean();
  if (flag == nullptr) return wrong("'" + std::string(key) + "' must be true or false");
  return flag->get();
}

Result<size_t> TomlTable::choice(std::string_view key, std::span<const std::string_view> names,
                                 std::optional<std::string> fallback) const {
  const std::string given = QUIRE_TRY(text(key, std::move(fallback)));
  const auto found = std::find(names.begin(), names.end(), given);
  if (found == names.end()) {
    return wrong("unknown " + std::string(key) + " '" + given + "'; nearest is '" +
                 std::string(nearest_name(given, names)) + "'");
  }
  return static_cast<size_t>(found - names.begin());
}

Result<std::vector<TomlTable>> TomlTable::tables(std::string_view key, const std::string& item,
                                                 size_t limit) const {
  std::vector<TomlTable> found;
  const toml::node* node = values_of(table_).get(key);
  if (node == nullptr) return found;
  const toml::array* array = node->as_array();
  if (array == nullptr) return wrong("'" + std::string(key) + "' must be an array of tables");
  if (array->size() > limit) {
    return wrong("'" + std::string(key) + "' has more than " + std::to_string(limit) + " entries");
  }
  for (size_t i = 0; i < array->size(); ++i) {
    const toml::table* one = array->get(i)->as_table();
    const std::string name = item + " " + std::to_string(i);
    if (one == nullptr) return make_error(Errc::kInvalidArgument, name + ": must be a table");
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
