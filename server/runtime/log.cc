#include "server/runtime/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "model/clean_text.h"
#include "model/clock.h"
#include "server/runtime/log_line.h"
#include "server/runtime/log_queue.h"

namespace quire::server {

namespace {

constexpr uint32_t kStopMs = 1000;  // what a stop waits for a reader at the most

std::string_view name_of(spdlog::level::level_enum level) {
  const spdlog::string_view_t name = spdlog::level::to_string_view(level);
  return {name.data(), name.size()};
}

// Formats on the caller's thread, under the sink's lock, and queues.
class QueueSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  QueueSink(LogQueue* queue, const std::atomic<LogFormat>* format)
      : queue_(queue), format_(format) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const uint64_t dropped = queue_->dropped();
    if (dropped > told_ &&
        queue_line(spdlog::level::warn, std::to_string(dropped - told_) +
                                            " lines were dropped: standard error took no more")) {
      told_ = dropped;
    }
    queue_line(message.level, message.payload);
  }
  bool queue_line(spdlog::level::level_enum level, spdlog::string_view_t text) {
    const LogMessage message{.time = spdlog::log_clock::now(),
                             .level = name_of(level),
                             .text = {text.data(), text.size()}};
    return queue_->push(
        log_line(format_->load(std::memory_order_relaxed), message, LogQueue::kMaxLineBytes));
  }
  void flush_() override {}

  LogQueue* queue_;
  const std::atomic<LogFormat>* format_;
  uint64_t told_ = 0;  // of what was dropped; under the sink's lock
};

// The process's one log. The queue is never destroyed: its thread may hang in a write.
struct Log {
  std::mutex mutex;
  LogLimiter limiter;         // under mutex
  LogQueue* queue = nullptr;  // set by start_log, before other threads start
  // Any thread writes, whoever logs reads: no other memory depends on it, so relaxed.
  std::atomic<LogFormat> format{LogFormat::kText};
};

Log& the_log() {
  static Log* const log = new Log();
  return *log;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

void start_log(const std::string& level, const std::string& format) {
  the_log().queue = new LogQueue(STDERR_FILENO);
  auto sink = std::make_shared<QueueSink>(the_log().queue, &the_log().format);
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("quired", std::move(sink)));
  set_log_level(level);
  set_log_format(format);
}

void set_log_level(const std::string& level) {
  spdlog::default_logger_raw()->set_level(spdlog::level::from_str(level));
}

void set_log_format(const std::string& format) {
  the_log().format.store(log_format_of(format), std::memory_order_relaxed);
}

void stop_log() {
  if (the_log().queue != nullptr) the_log().queue->close(kStopMs);
}

void log(LogLevel level, const std::string& message) {
  spdlog::default_logger_raw()->log(spdlog_level(level), "{}", model::escape_text(message));
}

void log(LogKind kind, LogLevel level, const std::string& message) {
  if (!spdlog::default_logger_raw()->should_log(spdlog_level(level))) {
    // What changed the level is told too, and who does what comes after it.
    if (kind != LogKind::kAuditChange && kind != LogKind::kAuditDenied) return;
    level = LogLevel::kError;
  }
  LogLimiter::Verdict verdict;
  {
    const std::lock_guard lock(the_log().mutex);
    verdict = the_log().limiter.admit(kind, model::SystemClock().now_ns());
  }
  if (verdict.left_out > 0) {
    log(level, std::to_string(verdict.left_out) + " lines like the next one were left out");
  }
  if (verdict.admitted) log(level, message);
}

LogCounters log_counters() {
  LogCounters counters;
  if (the_log().queue != nullptr) counters.dropped = the_log().queue->dropped();
  const std::lock_guard lock(the_log().mutex);
  counters.left_out = the_log().limiter.left_out();
  return counters;
}

}  // namespace quire::server
