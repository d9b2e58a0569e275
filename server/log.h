// One line a message to standard error, logfmt-like, with levels. No page bytes, token ids, salts
// or session tokens are ever passed to it. Threads: any.
#pragma once

#include <string>

namespace quire::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Call once before the first message; messages below `level` are dropped.
void start_log(const std::string& level);
void log(LogLevel level, const std::string& message);

}  // namespace quire::server
