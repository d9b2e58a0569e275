// This very program as another process, in a role of its own: for what ends in a SIGKILL, and
// because threads do not survive a fork. A role is a static object of the test's file.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace quire::tests {

class ChildRole {
 public:
  using Body = std::function<int(const std::vector<std::string>& arguments)>;
  ChildRole(std::string name, Body body);
};

// For a child: a line that the parent sees also when the child is killed right after.
void report_to_parent(const std::string& line);

class ChildProcess {
 public:
  // Arguments hold no '|'.
  ChildProcess(const std::string& role, const std::vector<std::string>& arguments);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();  // SIGKILL, unless it was waited for

  // The next line reported; empty when the child ended.
  std::string next_line();
  void kill();
  // Its exit code, or minus the signal's number. Lines not taken yet stay.
  int wait();

 private:
  bool read_more();

  pid_t pid_ = -1;
  int reports_ = -1;
  std::string unread_;
};

}  // namespace quire::tests
