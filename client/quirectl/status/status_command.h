// `quirectl status`, `top`, `sessions` and `tenants`: how a daemon is, and who uses it.
#pragma once

#include <iosfwd>

namespace CLI {
class App;
}

namespace quire::client {

struct DaemonCommandLine;

// Each is a function over streams that returns the exit code.
//
// One screen; all of the document with --all, -o json or -o csv; the scraper's text with --format.
int run_status(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
// A screen each interval, with rates. A daemon that goes is said on the screen, and asked again.
int run_top(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
int run_sessions(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);
int run_tenants(const DaemonCommandLine& line, std::ostream& out, std::ostream& err);

// `line` outlives the app.
void add_status_commands(CLI::App& app, DaemonCommandLine& line, std::ostream& out,
                         std::ostream& err);

}  // namespace quire::client
