#include "client/quirectl/doctor/quired_output.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "client/quirectl/quired_program.h"
#include "model/fd_guard.h"

namespace quire::client {

namespace {

using model::Result;

constexpr const char* kUsualSocket = "/run/quire/quired.sock";

// 0: nobody listens there.
int listener_pid(const std::string& socket_path) {
  const std::string path = socket_path.empty() ? kUsualSocket : socket_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return 0;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const model::FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return 0;
  }
  return peer.pid;
}

// Its arguments without its name; a relative path of a flag file is as seen from its directory.
// None: it is no quired, or not to be looked at.
std::optional<std::vector<std::string>> arguments_of(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::ifstream file(folder + "/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  if (words.empty() || std::filesystem::path(words[0]).filename() != "quired") {
    return std::nullopt;
  }
  words.erase(words.begin());
  std::error_code failure;
  const std::filesystem::path directory = std::filesystem::read_symlink(folder + "/cwd", failure);
  constexpr std::string_view kFlagFile = "--flagfile=";
  for (std::string& word : words) {
    if (!failure && word.starts_with(kFlagFile)) {
      word = std::string(kFlagFile) + (directory / word.substr(kFlagFile.size())).string();
    }
  }
  return words;
}

// The program looks at its own limits: so they are the daemon's. What may not be had is left.
void take_limits_of(int pid) {
  for (const auto resource : {RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_MEMLOCK}) {
    rlimit limit{};
    if (::prlimit(pid, resource, nullptr, &limit) == 0) ::setrlimit(resource, &limit);
  }
}

Result<std::string> read_all(int fd) {
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return model::errno_error("read what quired says");
    text.append(part.data(), static_cast<size_t>(got));
  }
}

}  // namespace

QuiredFlags find_flags(const std::string& socket_path, const std::string& flagfile) {
  if (!flagfile.empty()) {
    return {.flags = {"--flagfile=" + flagfile}, .origin = "of " + flagfile, .pid = 0};
  }
  const int pid = listener_pid(socket_path);
  const auto flags = pid == 0 ? std::nullopt : arguments_of(pid);
  if (flags) {
    return {.flags = *flags, .origin = "of the daemon with pid " + std::to_string(pid), .pid = pid};
  }
  return {.flags = {}, .origin = "that are built in", .pid = 0};
}

Result<std::string> output_of_quired(const std::string& quired, const QuiredFlags& flags,
                                     const std::string& what) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return model::errno_error("pipe2");
  const model::FdGuard read_end(ends[0]);
  model::FdGuard write_end(ends[1]);
  if (flags.pid != 0) take_limits_of(flags.pid);
  std::vector<std::string> arguments = flags.flags;
  arguments.push_back(what);
  const pid_t child = QUIRE_TRY(
      start_quired(quired.empty() ? find_quired() : quired, std::move(arguments), write_end.get()));
  write_end.reset();
  const Result<std::string> text = read_all(read_end.get());
  const int code = QUIRE_TRY(wait_for_quired(child));
  if (!text.ok()) return text;
  if (code == 0) return *text;
  return model::make_error(model::Errc::kIoError,
                           "quired " + what + " ended with code " + std::to_string(code));
}

HealthChecks read_machine(const std::string& text) {
  HealthChecks checks;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream parts(line);
    HealthCheck check;
    std::getline(parts, check.topic, '\t');
    check.well = !std::getline(parts, check.what, '\t');
    std::getline(parts, check.effect, '\t');
    std::getline(parts, check.mend, '\t');
    checks.push_back(std::move(check));
  }
  return checks;
}

std::string flag_in(const std::string& config, const std::string& name) {
  std::istringstream lines(config);
  const std::string front = "--" + name + "=";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(front)) return line.substr(front.size(), line.find("  #") - front.size());
  }
  return {};
}

}  // namespace quire::client
