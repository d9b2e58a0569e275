// The daemon's own flags in gflags' registry, which also holds gflags' own. Of quired's binary
// alone: the registry is a global of the process. Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "model/result.h"
#include "server/start/flag_file.h"

namespace quire::server {

struct FlagValue {
  std::string name;
  std::string type;  // gflags' word: "string", "bool", "uint32"
  std::string value;
  std::string default_value;
  std::string help;
  bool is_default = true;
};

// In order of their names.
std::vector<FlagValue> own_flags();
// kInvalidArgument, with the line and the nearest name, for what no flag has.
model::Result<void> check_known(const std::vector<FlagLine>& lines);
// As text for gflags, one flag a line.
std::string joined(const std::vector<FlagLine>& lines);

}  // namespace quire::server
