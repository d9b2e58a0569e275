#include "client/quirectl/verb_outcome.h"

#include <cstdlib>
#include <ostream>
#include <sstream>

#include "client/quirectl/exit_codes.h"

namespace quire::client {

int report(const model::Error& error, std::ostream& err) {
  err << "quirectl: " << model::errc_name(error.code) << ": " << error.text;
  const bool nobody_there =
      error.code == model::Errc::kUnavailable && error.text.starts_with("connect to ");
  if (nobody_there) err << "; is quired running? --socket, or QUIRE_SOCKET, says where";
  err << '\n';
  return exit_code_of(error.code);
}

int run_in_form(const std::string& output, const CsvForm& csv, std::ostream& out, std::ostream& err,
                const std::function<int(bool json, std::ostream& out)>& run) {
  if (output != "csv") return run(output == "json", out);
  std::ostringstream document;
  const int code = run(true, document);
  if (document.str().empty()) return code;
  const model::Result<std::string> rows = answer_csv(document.str(), csv);
  if (!rows.ok()) return report(rows.error(), err);
  out << *rows;
  return code;
}

bool settle_output(std::string& output, std::ostream& err) {
  if (output.empty()) {
    const char* given = std::getenv("QUIRECTL_OUTPUT");
    output = given != nullptr && *given != '\0' ? given : "table";
  }
  if (output == "table" || output == "json" || output == "csv") return true;
  err << "quirectl: --output (QUIRECTL_OUTPUT): " << output
      << " is none of this verb's: table, json or csv\n";
  return false;
}

}  // namespace quire::client
