// What quirectl's command line prints, run within the test; and what a command of the shell does.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "client/quirectl/command_line.h"
#include "client/quirectl/exit_codes.h"

namespace quire::tests {

inline std::string printed_by(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "quirectl");
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream out, err;
  EXPECT_EQ(
      client::run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err),
      client::kExitOk)
      << err.str();
  return out.str();
}

inline std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string text;
  for (int letter = std::fgetc(pipe); letter != EOF; letter = std::fgetc(pipe)) {
    text += static_cast<char>(letter);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

}  // namespace quire::tests
