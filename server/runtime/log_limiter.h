// How many lines of one kind a log takes: what clients can cause again and again must not bury what
// an operator has to see. Values copy; no threads.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace quire::server {

// Lines that clients cause, and those of the audit log.
enum class LogKind : uint8_t {
  kConnectionRefused,
  kClientLeft,
  kClientEnded,
  kSessionFault,
  kEventsHeard,
  kAuditDenied,
  kAuditChange,  // by administrators alone
  kHttpLost,
};
inline constexpr size_t kLogKinds = 8;

class LogLimiter {
 public:
  static constexpr uint32_t kLinesPerWindow = 20;  // of a kind, but for:
  // What a script of an administrator's does not reach. The log's queue holds as many.
  static constexpr uint32_t kChangesPerWindow = 1000;
  static constexpr uint32_t lines_of(LogKind kind) {
    return kind == LogKind::kAuditChange ? kChangesPerWindow : kLinesPerWindow;
  }
  static constexpr int64_t kWindowNs = 10'000'000'000;

  struct Verdict {
    bool admitted = false;
    uint64_t left_out = 0;  // lines of this kind since the last window's; told once
  };
  Verdict admit(LogKind kind, int64_t now_ns);
  uint64_t left_out() const { return left_out_; }  // of all kinds, ever

 private:
  struct Window {
    int64_t start_ns = 0;
    uint32_t lines = 0;
    uint64_t left_out = 0;
  };
  std::array<Window, kLogKinds> windows_{};
  uint64_t left_out_ = 0;
};

}  // namespace quire::server
