// Child processes of a test: a function of the test itself, or a program.
//
// Threads: the test process must have none when it starts a child. Lifetime: a child never outlives
// its TestProcess, nor the test should that be killed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/fd_guard.h"
#include "tests/support/patience.h"

namespace quire::tests {

// Polls until the condition holds; false after kPatienceMs.
bool eventually(const std::function<bool()>& condition);

// Bytes between a child and the test. Both directions end when either process does.
class Channel {
 public:
  Channel(model::FdGuard in, model::FdGuard out) : in_(std::move(in)), out_(std::move(out)) {}

  void send(std::string_view bytes);
  // Exactly `bytes`, or fewer when the other side ended or kPatienceMs passed.
  std::string receive(size_t bytes = 1);
  // Something to receive, or the end.
  bool readable() const;
  void close();

 private:
  model::FdGuard in_;
  model::FdGuard out_;
};

class TestProcess {
 public:
  // The child's exit code is what the function returns.
  static TestProcess call(const std::function<int(Channel&)>& function);
  struct ExecOptions {
    uint32_t open_file_limit = 0;       // RLIMIT_NOFILE; 0 = as it is
    int output_fd = -1;                 // stdout and stderr; -1 = the test's own
    std::function<void()> before_exec;  // in the child, as the last thing of the test's
  };
  static TestProcess exec(const std::vector<std::string>& arguments, const ExecOptions& options);

  TestProcess(TestProcess&&) noexcept;
  TestProcess& operator=(TestProcess&&) = delete;
  ~TestProcess();  // SIGKILL, unless it was waited for

  pid_t pid() const { return pid_; }
  Channel& channel() { return channel_; }
  void signal(int number) const;
  // The exit code, minus the signal's number, or kHung after kPatienceMs.
  int wait();
  // True when SIGSTOP took effect.
  bool wait_stopped() const;
  bool running();

  static constexpr int kHung = -1000;

 private:
  TestProcess(pid_t pid, Channel channel) : pid_(pid), channel_(std::move(channel)) {}
  bool reap(int flags);

  pid_t pid_;
  int status_ = 0;
  bool reaped_ = false;
  Channel channel_;
};

struct Output {
  int exit_code = 0;
  std::string text;  // stdout and stderr
};
// A program of this build's bin folder, to its end.
Output run_program(const std::string& name, const std::vector<std::string>& arguments);
std::string program_path(const std::string& name);

// What a child checks: prints what is wrong and counts.
class ChildChecks {
 public:
  void expect(bool holds, std::string_view what);
  int failures() const { return failures_; }

 private:
  int failures_ = 0;
};

}  // namespace quire::tests
