// What of this machine will hurt a daemon with these flags, and the command that mends it: limits
// of the process, of its control group, of the kernel, of the file system below the SSD tier.
// `quired --check_config` and the first lines of the log say the same.
//
// Reads /proc, /sys and the limits of this process; makes nothing but a nameless file in an SSD
// directory that is there, and an io_uring that it closes. Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "server/start/options.h"

namespace quire::server {

struct Finding {
  std::string what;    // the limit or the setting, with its value
  std::string effect;  // on this daemon
  std::string mend;    // the command, or the flag
};

// One thing that was looked at, and what of it hurts with these options.
struct MachineLook {
  std::string_view topic;  // one word: "huge_pages"
  std::vector<Finding> findings;
};
// Everything, in a fixed order. `root` stands before the paths of /proc and /sys: for tests.
std::vector<MachineLook> look_at_machine(const Options& options, const std::string& root = {});

// Only what hurts; empty when nothing does.
std::vector<Finding> check_machine(const Options& options, const std::string& root = {});
// "what: effect; mend"
std::string describe(const Finding& finding);

// What keeps the daemon from serving at all: kResourceExhausted with what is missing and how much
// is needed.
model::Result<void> check_start(const Options& options, const std::string& root = {});

// The same of an engine that is asked for by name, with no other to go on with. Making it says so
// at a start; this makes none.
model::Result<void> check_engine(const Options& options, const std::string& root = {});

}  // namespace quire::server
