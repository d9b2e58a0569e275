#include "server/runtime/log_limiter.h"

#include <utility>

namespace quire::server {

LogLimiter::Verdict LogLimiter::admit(LogKind kind, int64_t now_ns) {
  Window& window = windows_[static_cast<size_t>(kind)];
  Verdict verdict;
  if (window.lines == 0 || now_ns - window.start_ns >= kWindowNs) {
    window.start_ns = now_ns;
    window.lines = 0;
    verdict.left_out = std::exchange(window.left_out, 0);
  }
  verdict.admitted = window.lines < lines_of(kind);
  if (verdict.admitted) {
    ++window.lines;
  } else {
    ++window.left_out;
    ++left_out_;
  }
  return verdict;
}

}  // namespace quire::server
