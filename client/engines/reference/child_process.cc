#include "client/engines/reference/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <utility>

namespace quire::client {

namespace {

// Fixed part of a report on the pipe; the error text and the logits follow.
struct ReportHeader {
  double first_token_s;
  double decode_wait_s;
  uint32_t prompt_tokens;
  uint32_t hit_tokens;
  uint32_t ssd_tokens;
  uint32_t pages_early;
  uint32_t pages_read;
  uint32_t spans_committed;
  uint32_t error_bytes;
  uint32_t logit_count;
};

bool write_all(int fd, const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(fd, at, bytes);
    if (written <= 0) return false;
    at += written;
    bytes -= static_cast<size_t>(written);
  }
  return true;
}

bool read_all(int fd, void* data, size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::read(fd, at, bytes);
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

bool send_report(int fd, const ChildReport& report) {
  const ReportHeader header{report.first_token_s,
                            report.decode_wait_s,
                            report.prompt_tokens,
                            report.hit_tokens,
                            report.ssd_tokens,
                            report.pages_early,
                            report.pages_read,
                            report.spans_committed,
                            static_cast<uint32_t>(report.error.size()),
                            static_cast<uint32_t>(report.logits.size())};
  return write_all(fd, &header, sizeof(header)) &&
         write_all(fd, report.error.data(), report.error.size()) &&
         write_all(fd, report.logits.data(), report.logits.size() * sizeof(float));
}

// The child dies with its parent, also when that is killed.
void follow_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
}

}  // namespace

model::Result<ChildProcess> ChildProcess::run(const std::function<ChildReport()>& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return model::errno_error("pipe2");
  model::FdGuard reader(ends[0]);
  model::FdGuard writer(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return model::errno_error("fork");
  if (pid == 0) {
    follow_parent(parent);
    reader.reset();
    ::_exit(send_report(writer.get(), body()) ? 0 : 1);
  }
  return ChildProcess(pid, std::move(reader));
}

model::Result<ChildProcess> ChildProcess::execute(const std::vector<std::string>& arguments,
                                                  const std::string& log_path) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const model::FdGuard log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return model::errno_error("fork");
  if (pid == 0) {
    follow_parent(parent);
    ::dup2(log.get(), STDOUT_FILENO);
    ::dup2(log.get(), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return ChildProcess(pid, model::FdGuard());
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), report_(std::move(other.report_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  kill();
  pid_ = std::exchange(other.pid_, -1);
  report_ = std::move(other.report_);
  return *this;
}

ChildProcess::~ChildProcess() { kill(); }

void ChildProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(std::exchange(pid_, -1), nullptr, 0);
}

ChildReport ChildProcess::wait_report() {
  ChildReport report;
  ReportHeader header{};
  bool whole = read_all(report_.get(), &header, sizeof(header));
  if (whole) {
    report.first_token_s = header.first_token_s;
    report.decode_wait_s = header.decode_wait_s;
    report.prompt_tokens = header.prompt_tokens;
    report.hit_tokens = header.hit_tokens;
    report.ssd_tokens = header.ssd_tokens;
    report.pages_early = header.pages_early;
    report.pages_read = header.pages_read;
    report.spans_committed = header.spans_committed;
    report.error.resize(header.error_bytes);
    report.logits.resize(header.logit_count);
    whole = read_all(report_.get(), report.error.data(), report.error.size()) &&
            read_all(report_.get(), report.logits.data(), report.logits.size() * sizeof(float));
  }
  ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  if (!whole) report.error = "the engine process ended without a report";
  return report;
}

bool ChildProcess::running() {
  if (pid_ < 0) return false;
  if (::waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

bool ChildProcess::stop() {
  if (pid_ < 0) return false;
  ::kill(pid_, SIGTERM);
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace quire::client
