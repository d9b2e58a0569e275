// What every verb of quirectl does alike: how a failure is told, and in which form it answers.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "client/quirectl/answer_output.h"
#include "model/result.h"

namespace quire::client {

// Tells what failed, and gives the exit code (exit_code_of).
int report(const model::Error& error, std::ostream& err);

// Settles the form of a verb's answer: what was given, else $QUIRECTL_OUTPUT, else "table". False:
// it is not "table", "json" or "csv", and that was said.
bool settle_output(std::string& output, std::ostream& err);

// Runs what prints for people, or a document: run(json, out) gives the exit code. csv is made of
// the document, once it is whole.
int run_in_form(const std::string& output, const CsvForm& csv, std::ostream& out, std::ostream& err,
                const std::function<int(bool json, std::ostream& out)>& run);

}  // namespace quire::client
