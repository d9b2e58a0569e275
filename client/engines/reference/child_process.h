// Children of the demo: the daemon (exec) and engine processes (fork), each ended with the parent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::client {

// What an engine process tells its parent. Travels through a pipe as text lines plus raw logits.
struct ChildReport {
  std::string error;  // empty = fine
  double first_token_s = 0;
  double decode_wait_s = 0;
  uint32_t prompt_tokens = 0;
  uint32_t hit_tokens = 0;
  uint32_t ssd_tokens = 0;   // of these, loaded from SSD
  uint32_t pages_early = 0;  // read while the other process still computed
  uint32_t pages_read = 0;
  uint32_t spans_committed = 0;
  std::vector<float> logits;
};

class ChildProcess {
 public:
  // Runs `body` in a forked child whose report comes back through wait_report(). The caller must
  // have no threads.
  static model::Result<ChildProcess> run(const std::function<ChildReport()>& body);
  // Runs a program; `log_path` receives its output.
  static model::Result<ChildProcess> execute(const std::vector<std::string>& arguments,
                                             const std::string& log_path);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  // SIGKILL, when it still runs

  // Blocks until the child has reported and ended.
  ChildReport wait_report();
  bool running();
  // SIGKILL, then waits.
  void kill();
  // SIGTERM, then waits. True when it exited with status 0.
  bool stop();
  pid_t pid() const { return pid_; }

 private:
  ChildProcess(pid_t pid, model::FdGuard report) : pid_(pid), report_(std::move(report)) {}
  pid_t pid_ = -1;
  model::FdGuard report_;
};

}  // namespace quire::client
