#include "model/clean_text.h"

#include <gtest/gtest.h>

namespace quire::model::clean_text_test {
namespace {

TEST(CleanText, PlainAndUnicodeNamesAreClean) {
  for (const char* text : {"", "acme", "team a/model:7", "\xc3\xa4hm", "\xe5\xbc\x95\xe6\x93\x8e",
                           "\xf0\x9f\x90\x98", "\xc2\xa0", "back\\slash"}) {
    EXPECT_TRUE(is_clean_text(text)) << text;
    EXPECT_EQ(escape_text(text), text);
  }
}

TEST(CleanText, ControlCharactersAreNotAndEscapeToOneLine) {
  EXPECT_EQ(escape_text("a\nb"), "a\\nb");
  EXPECT_EQ(escape_text("a\r\tb"), "a\\r\\tb");
  EXPECT_EQ(escape_text("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(escape_text("\x7f"), "\\x7f");
  EXPECT_EQ(escape_text("\xc2\x9b"
                        "2J"),
            "\\xc2\\x9b2J")
      << "CSI as one character";
  EXPECT_EQ(escape_text("\xe2\x80\xa8"), "\\xe2\\x80\\xa8") << "line separator";
  EXPECT_EQ(escape_text(std::string_view("\0", 1)), "\\x00");
  EXPECT_FALSE(is_clean_text("x\n2026-11-29 error forged"));
}

TEST(CleanText, WhatIsNoUtf8IsNotClean) {
  for (const char* text : {"\x80", "\xff", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xf0\x9f\x90", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(is_clean_text(text)) << escape_text(text);
    EXPECT_TRUE(is_clean_text(escape_text(text)));
  }
}

TEST(CleanText, RefusalNamesTheFieldAndNotItsText) {
  const auto refused = check_clean_text("evil\nline", "client_name");
  EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
  EXPECT_EQ(refused.error().text, "client_name must be UTF-8 without control characters");
}

}  // namespace
}  // namespace quire::model::clean_text_test
