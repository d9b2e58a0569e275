#include "tests/process/test_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>

namespace quire::tests {

using model::FdGuard;

namespace {

struct Pipe {
  FdGuard read_end;
  FdGuard write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends;
  QUIRE_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  return {FdGuard(ends[0]), FdGuard(ends[1])};
}

bool wait_readable(int fd, int timeout_ms) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, timeout_ms) == 1;
}

pid_t fork_child() {
  std::fflush(nullptr);           // or both would print it
  std::signal(SIGPIPE, SIG_IGN);  // of a channel whose other side ended
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  QUIRE_CHECK(pid >= 0);
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  return 0;
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 1);  // leaves the core to those who are waited for
  }
  return true;
}

void Channel::send(std::string_view bytes) {
  // The other side may be gone; whoever waits for its answer finds out.
  [[maybe_unused]] const ssize_t sent = ::write(out_.get(), bytes.data(), bytes.size());
}

std::string Channel::receive(size_t bytes) {
  std::string received(bytes, '\0');
  size_t got = 0;
  while (got < bytes && wait_readable(in_.get(), kPatienceMs)) {
    const ssize_t count = ::read(in_.get(), received.data() + got, bytes - got);
    if (count <= 0) break;
    got += static_cast<size_t>(count);
  }
  received.resize(got);
  return received;
}

bool Channel::readable() const { return wait_readable(in_.get(), 0); }

void Channel::close() {
  in_.reset();
  out_.reset();
}

TestProcess TestProcess::call(const std::function<int(Channel&)>& function) {
  Pipe to_child = make_pipe();
  Pipe to_test = make_pipe();
  const pid_t pid = fork_child();
  if (pid != 0) {
    return {pid, Channel(std::move(to_test.read_end), std::move(to_child.write_end))};
  }
  to_test.read_end.reset();
  to_child.write_end.reset();
  Channel channel(std::move(to_child.read_end), std::move(to_test.write_end));
  const int code = function(channel);
  std::fflush(nullptr);
  ::_exit(code);  // what was inherited is the test's to destroy
}

TestProcess TestProcess::exec(const std::vector<std::string>& arguments,
                              const ExecOptions& options) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  const pid_t pid = fork_child();
  if (pid != 0) return {pid, Channel(FdGuard(), FdGuard())};
  std::signal(SIGPIPE, SIG_DFL);
  if (options.open_file_limit > 0) {
    const rlimit limit{options.open_file_limit, options.open_file_limit};
    QUIRE_CHECK(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  }
  if (options.output_fd >= 0) {
    ::dup2(options.output_fd, STDOUT_FILENO);
    ::dup2(options.output_fd, STDERR_FILENO);
  }
  if (options.before_exec) options.before_exec();
  ::execv(pointers[0], pointers.data());
  std::perror(pointers[0]);
  ::_exit(127);
}

TestProcess::TestProcess(TestProcess&& other) noexcept
    : pid_(other.pid_),
      status_(other.status_),
      reaped_(std::exchange(other.reaped_, true)),
      channel_(std::move(other.channel_)) {}

TestProcess::~TestProcess() {
  if (reaped_) return;
  signal(SIGKILL);
  reap(0);
}

void TestProcess::signal(int number) const {
  if (!reaped_) ::kill(pid_, number);
}

bool TestProcess::reap(int flags) {
  if (reaped_) return true;
  pid_t reaped;
  do {
    reaped = ::waitpid(pid_, &status_, flags);
  } while (reaped < 0 && errno == EINTR);
  reaped_ = reaped == pid_;
  return reaped_;
}

int TestProcess::wait() {
  if (!eventually([this] { return reap(WNOHANG); })) return kHung;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
}

bool TestProcess::wait_stopped() const {
  return eventually([this] {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOHANG) == 0 &&
           info.si_code == CLD_STOPPED;
  });
}

bool TestProcess::running() { return !reap(WNOHANG); }

std::string program_path(const std::string& name) { return std::string(QUIRE_BIN_DIR "/") + name; }

Output run_program(const std::string& name, const std::vector<std::string>& arguments) {
  std::vector<std::string> line = {program_path(name)};
  line.insert(line.end(), arguments.begin(), arguments.end());
  Pipe pipe = make_pipe();
  TestProcess process = TestProcess::exec(line, {.output_fd = pipe.write_end.get()});
  pipe.write_end.reset();
  Output output;
  std::array<char, 4096> part;
  while (wait_readable(pipe.read_end.get(), kPatienceMs)) {
    const ssize_t got = ::read(pipe.read_end.get(), part.data(), part.size());
    if (got <= 0) break;
    output.text.append(part.data(), static_cast<size_t>(got));
  }
  output.exit_code = process.wait();
  return output;
}

void ChildChecks::expect(bool holds, std::string_view what) {
  if (holds) return;
  ++failures_;
  std::fprintf(stderr, "child %d: not so: %.*s\n", ::getpid(), static_cast<int>(what.size()),
               what.data());
}

}  // namespace quire::tests
