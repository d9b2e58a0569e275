// `quirectl layout from-config | show | check | plan`: layouts from a model's config.json and from
// files, without a daemon. Each command is a function over streams that returns the exit code.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "client/quirectl/exit_codes.h"
#include "model/model_config.h"

namespace CLI {
class App;
}

namespace quire::client {

enum class LayoutOutput : uint8_t { kToml, kJson, kTable, kCsv };

struct LayoutFromConfigOptions {
  std::string path;
  model::LayoutOptions layout;
  LayoutOutput output = LayoutOutput::kToml;
};
// Writes the layout that follows from a config.json. An option that the model refuses is
// kExitFailed.
int run_layout_from_config(const LayoutFromConfigOptions& options, std::ostream& out,
                           std::ostream& err);

struct LayoutShowOptions {
  std::string path;
  LayoutOutput output = LayoutOutput::kTable;
};
int run_layout_show(const LayoutShowOptions& options, std::ostream& out, std::ostream& err);

struct LayoutCheckOptions {
  std::vector<std::string> paths;
  LayoutOutput output = LayoutOutput::kTable;
};
// One line a file: "ok <digest> <path>" to out, or the error to err. kExitDegraded if one is no
// layout, kExitNotFound if one is not there; kExitUsage without files.
int run_layout_check(const LayoutCheckOptions& options, std::ostream& out, std::ostream& err);

struct LayoutPlanOptions {
  std::string path;                // a layout file, or the name of a shipped layout
  LayoutFromConfigOptions config;  // its path empty: not asked
  std::string ram;
  std::string ssd;
  std::string ssd_bandwidth;
  std::string context = "1M";
  std::string checkpoints = "turn_ends";
  LayoutOutput output = LayoutOutput::kTable;
};
// How many sessions fit, and what one takes. kExitUsage unless it is one of path and config.
int run_layout_plan(const LayoutPlanOptions& options, std::ostream& out, std::ostream& err);

// What the parsed command line fills. Outlives the CLI::App.
struct LayoutCommandLine {
  LayoutFromConfigOptions from_config;
  LayoutShowOptions show;
  LayoutCheckOptions check;
  LayoutPlanOptions plan;
  std::string output_before_verb;  // the program's --output; one behind the verb outranks it
  int exit_code = kExitOk;         // of the command that ran
};
// Adds "layout" with its subcommands; parsing runs the one named. Wrong usage is CLI11's to report
// (CLI::ParseError): the caller maps it to kExitUsage.
void add_layout_commands(CLI::App& app, LayoutCommandLine& line, std::ostream& out,
                         std::ostream& err);

}  // namespace quire::client
