// What every verb of quirectl does alike: how a failure is told, and in which form it answers.
#pragma once

#include <iosfwd>
#include <string>

#include "model/result.h"

namespace quire::client {

// Tells what failed, and gives the exit code (exit_code_of).
int report(const model::Error& error, std::ostream& err);

// Settles the form of a verb's answer: what was given, else $QUIRECTL_OUTPUT, else "table". False:
// it is neither "table" nor "json", and that was said.
bool settle_output(std::string& output, std::ostream& err);

}  // namespace quire::client
