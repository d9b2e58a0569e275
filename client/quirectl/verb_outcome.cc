#include "client/quirectl/verb_outcome.h"

#include <cstdlib>
#include <ostream>

#include "client/quirectl/daemon_command.h"

namespace quire::client {

int report(const model::Error& error, std::ostream& err) {
  err << "quirectl: " << model::errc_name(error.code) << ": " << error.text << '\n';
  return exit_code_of(error.code);
}

bool settle_output(std::string& output, std::ostream& err) {
  if (output.empty()) {
    const char* given = std::getenv("QUIRECTL_OUTPUT");
    output = given != nullptr && *given != '\0' ? given : "table";
  }
  if (output == "table" || output == "json") return true;
  err << "quirectl: --output (QUIRECTL_OUTPUT): " << output
      << " is none of this verb's: table or json\n";
  return false;
}

}  // namespace quire::client
