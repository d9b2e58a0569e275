#include "client/quirectl/quired_program.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace quire::client {

using model::Errc;
using model::make_error;
using model::Result;

std::string find_quired() {
  std::error_code failure;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return "quired";
  const std::string beside = own.parent_path() / "quired";
  return ::access(beside.c_str(), X_OK) == 0 ? beside : "quired";
}

Result<pid_t> start_quired(const std::string& quired, std::vector<std::string> arguments,
                           int output) {
  arguments.insert(arguments.begin(), quired);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t child = 0;
  const int failure =
      ::posix_spawnp(&child, quired.c_str(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure == 0) return child;
  return make_error(failure == ENOENT ? Errc::kNotFound : Errc::kIoError,
                    "cannot run " + quired + ": " + std::strerror(failure));
}

Result<int> wait_for_quired(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return model::errno_error("waitpid");
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return make_error(Errc::kIoError,
                    "quired was ended by signal " + std::to_string(WTERMSIG(status)));
}

}  // namespace quire::client
