#include "tests/ssd/ssd_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <map>

#include "model/check.h"
#include "server/start/options.h"

namespace quire::tests {

namespace {

constexpr const char* kVariable = "QUIRE_SSD_CHILD";
constexpr int kReports = 3;  // descriptor

std::map<std::string, ChildRole::Body>& roles() {
  static std::map<std::string, ChildRole::Body> known;
  return known;
}

class ChildProgram final : public testing::Environment {
 public:
  void SetUp() override {
    const char* line = std::getenv(kVariable);
    if (line == nullptr) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // never outlives a test that failed
    std::vector<std::string> words = server::split_names(line, '|');
    const auto role = roles().find(words.front());
    QUIRE_CHECK(role != roles().end());
    words.erase(words.begin());
    ::_exit(role->second(words));
  }
};
const testing::Environment* const kChildProgram =
    testing::AddGlobalTestEnvironment(new ChildProgram);

}  // namespace

ChildRole::ChildRole(std::string name, Body body) {
  roles().emplace(std::move(name), std::move(body));
}

void report_to_parent(const std::string& line) {
  const std::string text = line + "\n";
  QUIRE_CHECK(::write(kReports, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

ChildProcess::ChildProcess(const std::string& role, const std::vector<std::string>& arguments) {
  int ends[2];
  QUIRE_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  reports_ = ends[0];
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], kReports);
  std::string variable = std::string(kVariable) + "=" + role;
  for (const std::string& argument : arguments) variable += "|" + argument;
  std::vector<char*> environment = {variable.data(), nullptr};
  std::string name = "ssd_child";
  char* words[] = {name.data(), nullptr};
  QUIRE_CHECK(
      ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, words, environment.data()) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill();
    wait();
  }
  ::close(reports_);
}

bool ChildProcess::read_more() {
  char bytes[256];
  ssize_t count = 0;
  do {
    count = ::read(reports_, bytes, sizeof(bytes));
  } while (count < 0 && errno == EINTR);
  if (count > 0) unread_.append(bytes, static_cast<size_t>(count));
  return count > 0;
}

std::string ChildProcess::next_line() {
  size_t end = 0;
  while ((end = unread_.find('\n')) == std::string::npos) {
    if (!read_more()) return {};
  }
  const std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  return line;
}

void ChildProcess::kill() { ::kill(pid_, SIGKILL); }

int ChildProcess::wait() {
  while (read_more()) {
  }
  int status = 0;
  QUIRE_CHECK(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace quire::tests
