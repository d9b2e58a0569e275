// The real quired, as a process, with a socket in a fresh directory of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/quire.h"
#include "tests/process/test_process.h"

namespace quire::tests {

// What the daemon holds, from its status and from /proc.
struct DaemonStatus {
  uint64_t connected = 0;
  uint64_t sessions = 0;
  uint64_t attachments = 0;
  uint64_t draining = 0;
  uint64_t sessions_ended_by_fault = 0;
  uint64_t session_shared_bytes = 0;
  uint64_t kept_bytes = 0;  // of these, by clients that are there, for their next sessions
  uint64_t kept_files = 0;
  uint64_t leases = 0;
  uint64_t fills = 0;
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  uint64_t pages = 0;        // slots taken in all domains
  uint64_t group_pages = 0;  // pages of visible objects in all layouts
  uint64_t open_files = 0;
  uint64_t resident_bytes = 0;
  uint64_t private_bytes = 0;  // of these, what it shares with nobody: not segments, nor sessions

  uint64_t bytes_in_use() const { return session_shared_bytes - kept_bytes; }
  uint64_t files_in_use() const { return open_files - kept_files; }
};

// For who counts or limits descriptors: UBSan looks at an object of a type that is new to it
// through a pipe, and on the ghosts' thread types are new at any time.
inline constexpr const char* kNoGhosts = "--ghost_memory=0";

class DaemonProcess {
 public:
  struct Options {
    uint64_t ram_mib = 64;           // a segment is 64 MiB, a domain needs one
    std::vector<std::string> flags;  // further ones
    uint32_t open_file_limit = 0;
    std::string log_path;               // appended to; empty: the test's own stderr
    std::function<void()> before_exec;  // in the child
  };
  DaemonProcess();
  explicit DaemonProcess(Options options);
  ~DaemonProcess();  // stops it; anything but a clean end fails the test

  const std::string& socket_path() const { return socket_path_; }
  const std::string& directory() const { return directory_; }
  std::unique_ptr<client::Client> connect(const std::string& name = "test") const;
  // Over a connection of its own that stays open.
  DaemonStatus status();
  // The same without what /proc has, which stays 0: to list ten thousand open files keeps a
  // processor for longer than to close some hundred of them.
  DaemonStatus own_status();
  std::string status_json();
  bool eventually(const std::function<bool(const DaemonStatus&)>& condition);
  bool running() { return process_ && process_->running(); }
  pid_t pid() const { return process_->pid(); }

  // SIGTERM; the exit code as TestProcess::wait() has it.
  int stop();
  // SIGKILL. The socket file stays.
  void crash();
  // After stop() or crash(): a successor on the same socket.
  void start();

 private:
  std::vector<std::string> command_line() const;

  Options options_;
  std::string directory_;
  std::string socket_path_;
  std::optional<TestProcess> process_;
  std::unique_ptr<client::Client> observer_;
};

}  // namespace quire::tests
