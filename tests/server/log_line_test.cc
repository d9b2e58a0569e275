#include "server/runtime/log_line.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "model/clean_text.h"

namespace quire::server::log_line_test {
namespace {

namespace json = boost::json;

constexpr size_t kRoom = 4096;
// 2026-11-30T17:09:07.123Z
constexpr std::chrono::system_clock::time_point kTime{std::chrono::milliseconds(1796058547123)};

std::string line(LogFormat format, std::string_view text, size_t most_bytes = kRoom) {
  return log_line(format, {.time = kTime, .level = "info", .text = text}, most_bytes);
}

// Of `msg="..."`, as logfmt's readers take it; whatever is wrong gives another text.
std::string logfmt_message(const std::string& line) {
  const std::string start = "time=2026-11-30T17:09:07.123Z level=info msg=\"";
  if (!line.starts_with(start) || !line.ends_with("\"\n")) return "no logfmt: " + line;
  std::string message;
  for (size_t i = start.size(); i < line.size() - 2; ++i) {
    if (line[i] == '"') return "an open quote: " + line;
    if (line[i] == '\\') ++i;
    message += line[i];
  }
  return message;
}

}  // namespace

TEST(LogLine, TextIsForPeople) {
  const std::string text = line(LogFormat::kText, "listening on \"/run\"");
  EXPECT_TRUE(text.ends_with(".123 info listening on \"/run\"\n")) << text;
  EXPECT_EQ(text.find('Z'), std::string::npos) << "local time";
}

TEST(LogLine, WhateverIsQuotedParses) {
  for (const std::string& raw :
       {std::string("plain"), std::string("a=\"b\" c=\\d\\"), std::string("\"\\\"\\\\"),
        std::string("nul\0 tab\t line\n", 15), std::string("\xff\xfe no UTF-8"),
        std::string("\xe2\x80\xa8 \xf0\x9f\x93\x9a \xc3\xa9"), std::string("{\"a\":1}")}) {
    const std::string clean = model::escape_text(raw);
    const json::value parsed = json::parse(line(LogFormat::kJson, clean));
    EXPECT_EQ(parsed.at("msg").as_string().c_str(), clean);
    EXPECT_EQ(parsed.at("time").as_string().c_str(), std::string("2026-11-30T17:09:07.123Z"));
    EXPECT_EQ(parsed.at("level").as_string().c_str(), std::string("info"));
    EXPECT_EQ(logfmt_message(line(LogFormat::kLogfmt, clean)), clean);
  }
}

TEST(LogLine, LongMessagesAreCutBetweenCharactersAndStillParse) {
  for (const std::string_view part : {"a", "\"", "\\", "\xc3\xa9", "\xf0\x9f\x93\x9a"}) {
    std::string text;
    while (text.size() < 3 * kRoom) text += part;
    for (size_t room = 128; room < 140; ++room) {
      const std::string cut = line(LogFormat::kJson, text, room);
      EXPECT_LE(cut.size(), room);
      EXPECT_GT(cut.size(), room - 12) << "no more than needed is cut";
      const std::string message = json::parse(cut).at("msg").as_string().c_str();
      EXPECT_TRUE(message.ends_with("..."));
      EXPECT_EQ(logfmt_message(line(LogFormat::kLogfmt, text, room)).substr(0, 4),
                text.substr(0, 4));
    }
  }
}

TEST(LogLine, WhatFitsExactlyIsNotCut) {
  const std::string whole = line(LogFormat::kJson, "0123456789");
  EXPECT_EQ(line(LogFormat::kJson, "0123456789", whole.size()), whole);
  EXPECT_NE(line(LogFormat::kJson, "0123456789", whole.size() - 1).find("..."), std::string::npos);
}

TEST(LogLine, UnknownFormatsAreText) {
  EXPECT_EQ(log_format_of("json"), LogFormat::kJson);
  EXPECT_EQ(log_format_of("logfmt"), LogFormat::kLogfmt);
  EXPECT_EQ(log_format_of("xml"), LogFormat::kText);
}

}  // namespace quire::server::log_line_test
