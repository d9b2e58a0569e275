#include "server/runtime/log_line.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace quire::server {

namespace {

constexpr std::string_view kCut = "...";

// "2026-11-30T17:09:07.123", and a Z behind UTC.
std::string time_text(std::chrono::system_clock::time_point time, bool utc) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  if (utc) {
    ::gmtime_r(&seconds, &parts);
  } else {
    ::localtime_r(&seconds, &parts);
  }
  std::array<char, 40> text{};
  const size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03d%s", static_cast<int>(ms % 1000),
                utc ? "Z" : "");
  return text.data();
}

// Bytes of the UTF-8 character that begins with this one.
size_t character_bytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// As much of clean text as `room` bytes hold, in whole characters. Quoted text needs two escapes
// only, and logfmt has those of JSON.
std::string escaped(std::string_view text, bool quoted, size_t room) {
  std::string safe;
  size_t length = 0;
  for (size_t at = 0; at < text.size(); at += length) {
    length = character_bytes(text[at]);
    const bool escape = quoted && (text[at] == '"' || text[at] == '\\');
    if (safe.size() + length + (escape ? 1 : 0) > room) break;
    if (escape) safe += '\\';
    safe += text.substr(at, length);
  }
  return safe;
}

std::string body(std::string_view text, bool quoted, size_t room) {
  const size_t escapes =
      quoted ? static_cast<size_t>(std::count_if(text.begin(), text.end(),
                                                 [](char c) { return c == '"' || c == '\\'; }))
             : 0;
  if (text.size() + escapes <= room) return escaped(text, quoted, room);
  return escaped(text, quoted, room - kCut.size()) + std::string(kCut);
}

}  // namespace

LogFormat log_format_of(std::string_view name) {
  if (name == "json") return LogFormat::kJson;
  return name == "logfmt" ? LogFormat::kLogfmt : LogFormat::kText;
}

std::string log_line(LogFormat format, const LogMessage& message, size_t most_bytes) {
  const std::string time = time_text(message.time, format != LogFormat::kText);
  const std::string level(message.level);
  std::string head;
  std::string_view tail;
  switch (format) {
    case LogFormat::kText:
      head = time + " " + level + " ";
      tail = "\n";
      break;
    case LogFormat::kLogfmt:
      head = "time=" + time + " level=" + level + " msg=\"";
      tail = "\"\n";
      break;
    case LogFormat::kJson:
      head = R"({"time":")" + time + R"(","level":")" + level + R"(","msg":")";
      tail = "\"}\n";
      break;
  }
  const size_t room = most_bytes - head.size() - tail.size();
  return head + body(message.text, format != LogFormat::kText, room) + std::string(tail);
}

}  // namespace quire::server
