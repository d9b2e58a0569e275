#include "client/quirectl/rebuild_command.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <ostream>
#include <system_error>

#include "client/quirectl/daemon_command.h"

namespace quire::client {

namespace {

// A name without a slash is searched for in PATH.
std::string find_quired() {
  std::error_code failure;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return "quired";
  const std::string beside = own.parent_path() / "quired";
  return ::access(beside.c_str(), X_OK) == 0 ? beside : "quired";
}

int wait_for_exit(pid_t child, std::ostream& err) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno == EINTR) continue;
    err << "quirectl rebuild: waitpid: " << std::strerror(errno) << '\n';
    return kExitFailed;
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  err << "quirectl rebuild: quired was ended by signal " << WTERMSIG(status) << '\n';
  return kExitFailed;
}

}  // namespace

int run_rebuild(const RebuildOptions& options, std::ostream& err) {
  std::string quired = options.quired.empty() ? find_quired() : options.quired;
  std::string path = "--ssd_path=" + options.ssd_path;
  std::string mode = options.yes ? "--rebuild" : "--rebuild_dry_run";
  if (!options.yes) err << "quirectl rebuild: a dry run; add --yes to make the index anew\n";
  err.flush();
  char* arguments[] = {quired.data(), path.data(), mode.data(), nullptr};
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, quired.c_str(), nullptr, nullptr, arguments, environ);
  if (failure != 0) {
    err << "quirectl rebuild: cannot run " << quired << ": " << std::strerror(failure) << '\n';
    return failure == ENOENT ? kExitNotFound : kExitFailed;
  }
  return wait_for_exit(child, err);
}

}  // namespace quire::client
