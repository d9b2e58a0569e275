// Files that people write: errors name the line.
#include "model/toml_table.h"

#include <gtest/gtest.h>

namespace quire::model::toml_table_test {
namespace {

constexpr std::string_view kText = R"(name = "x"
instant = 2026-08-17T00:00:00.25+08:00
local = 2026-08-17T00:00:00
day = 2026-10-01
days = [2026-10-01, 2026-10-02]
words = ["a", "b"]
numbers = [1, 2]
[inner]
key = 1
[[list]]
key = 1
[[list]]
key = "wrong"
)";

TomlTable file() { return TomlTable::parse_file(kText, "f.toml").value(); }

template <typename T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "none" : result.error().text;
}

std::string utf8_of(uint32_t letter) {
  const auto following = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3f)); };
  if (letter < 0x800) return {static_cast<char>(0xc0 | letter >> 6), following(letter)};
  return {static_cast<char>(0xe0 | letter >> 12), following(letter >> 6), following(letter)};
}

TEST(TomlTable, InstantsDatesAndListsAreRead) {
  using std::chrono::sys_days;
  using std::chrono::year;
  const TomlTable table = file();
  EXPECT_EQ(table.instant_us("instant").value(), 1'786'896'000'250'000);
  EXPECT_EQ(table.date("day").value(), sys_days(year(2026) / 10 / 1));
  EXPECT_EQ(table.dates("days", 2).value().back(), sys_days(year(2026) / 10 / 2));
  EXPECT_EQ(table.texts("words", 2).value(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(table.numbers("numbers", 2, 2).value(), (std::vector<uint64_t>{1, 2}));
  EXPECT_TRUE(table.dates("none", 2).value().empty());
  EXPECT_EQ(table.table("inner").value().keys(), std::vector<std::string>{"key"});
}

TEST(TomlTable, ErrorsOfAFileNameTheLineOfTheKey) {
  const TomlTable table = file();
  EXPECT_EQ(error_of(table.number("name", 1)),
            "f.toml:1: 'name' must be a whole number from 0 to 1");
  EXPECT_TRUE(error_of(table.instant_us("local")).starts_with("f.toml:3: 'local' must be"));
  EXPECT_TRUE(error_of(table.date("instant")).starts_with("f.toml:2: "));
  EXPECT_EQ(error_of(table.dates("days", 1)), "f.toml:5: 'days' has more than 1 entries");
  EXPECT_TRUE(error_of(table.dates("words", 2)).starts_with("f.toml:6: "));
  EXPECT_TRUE(error_of(table.texts("days", 2)).starts_with("f.toml:5: "));
  EXPECT_TRUE(error_of(table.numbers("numbers", 1, 2)).starts_with("f.toml:7: "));
  EXPECT_TRUE(error_of(table.table("name")).starts_with("f.toml:1: "));
}

TEST(TomlTable, ErrorsOfATableNameItsOwnLine) {
  const TomlTable table = file();
  EXPECT_EQ(error_of(table.text("none")), "f.toml:1: missing key 'none'");
  const TomlTable second = table.tables("list", "entry", 2).value()[1];
  EXPECT_EQ(second.line(), 12u);
  EXPECT_EQ(error_of(second.text("none")), "f.toml:12: missing key 'none'");
  EXPECT_TRUE(error_of(second.number("key", 1)).starts_with("f.toml:13: "));
}

TEST(TomlTable, WhatIsNoTomlNamesTheLine) {
  EXPECT_TRUE(error_of(TomlTable::parse_file("a = 1\nb = \n", "f.toml")).starts_with("f.toml:2: "));
}

// Of every block of the basic plane, where a key begins and where a value does.
TEST(TomlTable, LettersBeyondAsciiOutsideOfQuotesAreErrors) {
  for (uint32_t letter = 0x80; letter < 0xd800; letter += 29) {
    const std::string utf8 = utf8_of(letter);
    for (const std::string& line : {utf8 + " = 2\n", "b = " + utf8 + "\n"}) {
      const std::string error = error_of(TomlTable::parse_file("a = 1\n" + line, "f.toml"));
      EXPECT_TRUE(error.starts_with("f.toml:2: ")) << letter << ": " << error;
    }
    EXPECT_TRUE(TomlTable::parse_file("a = \"" + utf8 + "\" # " + utf8, "f.toml").ok()) << letter;
  }
}

TEST(TomlTable, WithoutAPathErrorsNameTheTable) {
  const TomlTable table = TomlTable::parse(kText, "layout").value();
  EXPECT_EQ(error_of(table.number("name", 1)), "layout: 'name' must be a whole number from 0 to 1");
  EXPECT_EQ(error_of(table.tables("list", "entry", 2).value()[1].number("key", 1)),
            "entry 1: 'key' must be a whole number from 0 to 1");
}

}  // namespace
}  // namespace quire::model::toml_table_test
