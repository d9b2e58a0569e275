// One line a message to standard error, with levels, as text, logfmt or JSON (log_line.h). Control
// characters and what is no UTF-8 are escaped, so a message is one line whatever it quotes. No page
// bytes, token ids, salts or session tokens are ever passed to it.
//
// Nobody who logs waits for who reads: lines wait in a bounded queue (server/runtime/log_queue.h),
// and what clients can cause is limited by its kind (server/runtime/log_limiter.h). Threads: any.
#pragma once

#include <cstdint>
#include <string>

#include "model/metrics.h"
#include "server/runtime/log_limiter.h"

namespace quire::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Call once before the first message; messages below `level` are dropped. Without it messages are
// written at once, to standard output: for programs that embed a daemon.
void start_log(const std::string& level, const std::string& format = "text");
// Both at any time, from any thread.
void set_log_level(const std::string& level);
void set_log_format(const std::string& format);
// Waits a bounded time for lines that are still queued; later ones are dropped.
void stop_log();

void log(LogLevel level, const std::string& message);
void log(LogKind kind, LogLevel level, const std::string& message);

struct LogCounters {
  model::Counter dropped{"dropped_lines", "Lines of the log that standard error did not take"};
  model::Counter left_out{"left_out_lines", "Lines of the log left out: too many of their kind"};
};
LogCounters log_counters();

}  // namespace quire::server
