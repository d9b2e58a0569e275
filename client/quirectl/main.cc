// quirectl: command line of Quire. Exit codes: client/quirectl/exit_codes.h.
#include <exception>
#include <iostream>

#include "client/quirectl/command_line.h"
#include "client/quirectl/layout_command.h"

int main(int argc, char** argv) {
  try {
    const int code =
        quire::client::run_command_line(argc, argv, QUIRE_VERSION, std::cout, std::cerr);
    std::cout.flush();
    return std::cout ? code : quire::client::kExitFailed;
  } catch (const std::exception& error) {
    std::cerr << "quirectl: " << error.what() << '\n';
    return quire::client::kExitFailed;
  }
}
