// `quirectl rebuild`: makes the index of an SSD tier anew from the headers of its extents, by
// running quired for it while no daemon uses the directory.
#pragma once

#include <iosfwd>
#include <string>

namespace quire::client {

struct RebuildOptions {
  std::string ssd_path;
  bool yes = false;    // false: a dry run, which changes nothing
  std::string quired;  // empty: beside this program's own file, else in PATH
};

// Runs quired, which writes to this process's standard output and error itself. Gives its exit
// code; kExitNotFound when there is no quired to be run, kExitFailed when a signal ended it.
int run_rebuild(const RebuildOptions& options, std::ostream& err);

}  // namespace quire::client
