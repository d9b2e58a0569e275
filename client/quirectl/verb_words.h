// How commands of quirectl are made of rows of the table of verbs (model/socket_verbs.h): name,
// help, --yes and who may are the table's words.
#pragma once

#include <CLI/CLI.hpp>
#include <iosfwd>

#include "client/quirectl/daemon_command.h"
#include "model/socket_verbs.h"

namespace quire::client {

// With --yes where the verb is destructive, and a note of who may: of the row's role, where each of
// its actions has the same or it has none.
CLI::App* add_verb(CLI::App& app, DaemonCommandLine& line, model::FrameType type);
// A command of its own for an action, or some, of a verb: who may is the action's to say.
CLI::App* add_action(CLI::App& parent, const std::string& name, const std::string& help,
                     model::FrameType type, uint8_t action);
// In the words of --help and the manual.
void note_role(CLI::App& command, model::VerbRole role);

using RunVerb = int (*)(const DaemonCommandLine&, std::ostream&, std::ostream&);
// Once it is parsed: settles the form of the answer, runs, keeps the exit code.
void run_when_parsed(CLI::App& command, DaemonCommandLine& line, std::ostream& out,
                     std::ostream& err, RunVerb run);

}  // namespace quire::client
