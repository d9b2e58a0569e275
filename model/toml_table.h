// Tables of TOML files, read strictly: a key that is not known or of the wrong kind is an error
// that says where it stands, for a slip would be a default without a word.
//
// The only part that includes toml++; it is told to return errors, not to throw. Threads: any; a
// table is a view of the file it was parsed from, which all views keep alive.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace quire::model {

class TomlTable {
 public:
  // `where`: what errors call it. kInvalidArgument with the line.
  static Result<TomlTable> parse(std::string_view text, std::string where);
  // For files that people write: errors of its tables begin with "<path>:<line>" instead of names,
  // the line of the key that is wrong where one is.
  static Result<TomlTable> parse_file(std::string_view text, std::string path);

  // In errors: "group 2".
  const std::string& where() const { return where_; }
  // kInvalidArgument, "<where>: <what>".
  Error wrong(std::string_view what) const;
  // The same, at the line of `key`, or of the table where it has no such key.
  Error wrong_at(std::string_view key, std::string_view what) const;
  // In the file, from 1.
  uint32_t line() const;
  bool has(std::string_view key) const;
  // In the order of their bytes.
  std::vector<std::string> keys() const;
  Result<void> check_keys(std::span<const std::string_view> known) const;
  // No fallback: the key must be there. All: kInvalidArgument.
  Result<uint64_t> number(std::string_view key, uint64_t limit,
                          std::optional<uint64_t> fallback = std::nullopt) const;
  Result<std::string> text(std::string_view key,
                           std::optional<std::string> fallback = std::nullopt) const;
  // False where it is absent.
  Result<bool> flag(std::string_view key) const;
  // Position of a text among `names`.
  Result<size_t> choice(std::string_view key, std::span<const std::string_view> names,
                        std::optional<std::string> fallback = std::nullopt) const;
  // A date-time with its offset, in microseconds of Unix time; in 1970 to 9999.
  Result<int64_t> instant_us(std::string_view key) const;
  Result<std::chrono::sys_days> date(std::string_view key) const;
  // Empty where the key is absent. More than `limit` are refused.
  Result<std::vector<std::chrono::sys_days>> dates(std::string_view key, size_t limit) const;
  Result<std::vector<std::string>> texts(std::string_view key, size_t limit) const;
  Result<std::vector<uint64_t>> numbers(std::string_view key, uint64_t limit, size_t count) const;
  // The key must be there.
  Result<TomlTable> table(std::string_view key) const;
  // The tables of an array, named "<item> <i>" in errors; none where the key is absent. More than
  // `limit` are refused before they are read.
  Result<std::vector<TomlTable>> tables(std::string_view key, const std::string& item,
                                        size_t limit) const;

 private:
  struct File;
  TomlTable(std::shared_ptr<const File> file, const void* table, std::string where)
      : file_(std::move(file)), table_(table), where_(std::move(where)) {}

  std::shared_ptr<const File> file_;
  const void* table_;  // a toml::table of the file
  std::string where_;
};

// The text as a TOML string, in quotes.
std::string toml_quoted(std::string_view text);
// kIoError, kNotFound: it cannot be read. kInvalidArgument: longer than `limit`, some MiB.
Result<std::string> read_text_file(const std::string& path, size_t limit);

}  // namespace quire::model
