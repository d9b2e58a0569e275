// What quirectl's exit code tells a script: one table, for the code that ends, for --help and for
// the manual. rebuild alone gives those of quired.
#pragma once

#include <array>
#include <string_view>

#include "model/result.h"

namespace quire::client {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitCannotConnect = 3;
inline constexpr int kExitNotAuthorised = 4;
inline constexpr int kExitNotFound = 5;
inline constexpr int kExitDegraded = 6;
inline constexpr int kExitRefused = 7;

struct ExitCode {
  int code;
  std::string_view meaning;
};
inline constexpr std::array kExitCodes{
    ExitCode{kExitOk, "done"},
    ExitCode{kExitFailed, "failed; standard error says why"},
    ExitCode{kExitUsage, "wrong usage: no such verb or option, or a value that it does not take"},
    ExitCode{kExitCannotConnect, "no daemon answers at --socket, or one of another version"},
    ExitCode{kExitNotAuthorised, "the role that it takes is not yours"},
    ExitCode{kExitNotFound, "what was named is not there"},
    ExitCode{kExitDegraded, "it was looked at, and something is wrong with it"},
    ExitCode{kExitRefused, "a dry run: nothing was taken away, for --yes was not given"},
};

// Of a failure.
int exit_code_of(model::Errc code);

}  // namespace quire::client
