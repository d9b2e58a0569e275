#include "client/quirectl/verb_words.h"

#include <algorithm>
#include <string>

#include "client/quirectl/verb_outcome.h"

namespace quire::client {

namespace {

using model::SocketVerb;
using model::VerbAction;
using model::VerbRole;

std::string role_note(VerbRole role) {
  switch (role) {
    case VerbRole::kReader:
      return "For readers (--reader_uids of quired) and administrators.";
    case VerbRole::kMeter:
      return "For meters (--meter_uids of quired) and administrators.";
    case VerbRole::kAdministrator:
      return "For administrators: root, and the daemon's own uid.";
    default:
      return "For every client.";
  }
}

bool has_one_role(const SocketVerb& verb) {
  return std::all_of(verb.codec.actions.begin(), verb.codec.actions.end(),
                     [&](const VerbAction& action) { return action.role == verb.role; });
}

}  // namespace

void note_role(CLI::App& command, VerbRole role) { command.footer(role_note(role) + "\n"); }

CLI::App* add_verb(CLI::App& app, DaemonCommandLine& line, model::FrameType type) {
  const SocketVerb& verb = *model::find_verb(type);
  CLI::App* command = app.add_subcommand(std::string(verb.name), std::string(verb.help));
  if (verb.destructive) {
    command->add_flag("--yes", line.yes, "do it; without: only tell what would go");
  }
  if (has_one_role(verb)) {
    note_role(*command, verb.role);
  } else {
    // Seeing and doing are different things of the same command: `scrub status`, `pin`.
    command->footer(
        "What shows is for readers; what changes something, or makes the daemon work, for "
        "administrators.\n");
  }
  return command;
}

CLI::App* add_action(CLI::App& parent, const std::string& name, const std::string& help,
                     model::FrameType type, uint8_t action) {
  const SocketVerb& verb = *model::find_verb(type);
  CLI::App* command = parent.add_subcommand(name, help);
  for (const VerbAction& one : verb.codec.actions) {
    if (one.value == action) note_role(*command, one.role);
  }
  return command;
}

void run_when_parsed(CLI::App& command, DaemonCommandLine& line, std::ostream& out,
                     std::ostream& err, RunVerb run) {
  command.callback([&line, &out, &err, run] {
    line.exit_code = settle_output(line.output, err) ? run(line, out, err) : kExitUsage;
  });
}

}  // namespace quire::client
