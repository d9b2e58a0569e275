// A screen that is drawn anew now and then: on a terminal in its place, elsewhere one below the
// other. Ends with q, ^C or after so many times.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "client/quirectl/status/status_screen.h"

namespace quire::client {

struct LiveOptions {
  uint32_t interval_ms = 1000;
  uint64_t count = 0;     // how often; 0: until it is ended
  bool terminal = false;  // what is drawn goes to one, and keys come from one
  bool lines = false;     // frames are a line each: nothing stands between two
};

// Draws what `frame` gives for the present size. Threads: one at a time in a process, for signals
// are the process's.
void run_live_screen(const LiveOptions& options, std::ostream& out,
                     const std::function<std::string(const ScreenSize&)>& frame);

// Whether standard output and standard input are terminals.
bool stdout_is_terminal();
bool stdin_is_terminal();

}  // namespace quire::client
