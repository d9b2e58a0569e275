// One message of the log as a line of text, in the format that --log_format names:
//
//   text     2026-11-30T18:09:07.123 info listening on /run/quire/quired.sock
//   logfmt   time=2026-11-30T17:09:07.123Z level=info msg="listening on /run/quire/quired.sock"
//   json     {"time":"2026-11-30T17:09:07.123Z","level":"info","msg":"listening on ..."}
//
// Text has local time, for people; the other two have UTC, and each of their lines parses whatever
// its message is. Pure functions; any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quire::server {

enum class LogFormat : uint8_t { kText, kLogfmt, kJson };

// Of "text", "logfmt" or "json"; kText for anything else, which --log_format refuses.
LogFormat log_format_of(std::string_view name);

struct LogMessage {
  std::chrono::system_clock::time_point time;
  std::string_view level;
  std::string_view text;  // clean (model/clean_text.h)
};

// With its end of line, at most `most_bytes` (128 at least). A message that is longer is cut at the
// end of a character and ends in "...".
std::string log_line(LogFormat format, const LogMessage& message, size_t most_bytes);

}  // namespace quire::server
