#include "client/quirectl/rebuild_command.h"

#include <ostream>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/quired_program.h"

namespace quire::client {

namespace {

int fail(const model::Error& error, std::ostream& err) {
  err << "quirectl rebuild: " << error.text << '\n';
  return exit_code_of(error.code);
}

}  // namespace

int run_rebuild(const RebuildOptions& options, std::ostream& err) {
  if (!options.yes) err << "quirectl rebuild: a dry run; add --yes to make the index anew\n";
  err.flush();
  const auto child = start_quired(
      options.quired.empty() ? find_quired() : options.quired,
      {"--ssd_path=" + options.ssd_path, options.yes ? "--rebuild" : "--rebuild_dry_run"});
  if (!child.ok()) return fail(child.error(), err);
  const auto code = wait_for_quired(*child);
  return code.ok() ? *code : fail(code.error(), err);
}

}  // namespace quire::client
