// `quirectl doctor` and `quirectl bundle`: what of this machine hurts a daemon, and an archive for
// who helps from afar.
#pragma once

#include <iosfwd>
#include <string>

#include "client/quirectl/doctor/bundle.h"
#include "client/quirectl/doctor/doctor.h"

namespace CLI {
class App;
}

namespace quire::client {

// What the parsed command line fills. Outlives the CLI::App.
struct DoctorCommandLine {
  DoctorOptions doctor;
  BundleOptions bundle;
  std::string version;  // of the program
};

// kExitDegraded when something hurts.
int run_doctor(const DaemonCommandLine& daemon, const DoctorOptions& options, std::ostream& out,
               std::ostream& err);

// `daemon` has the socket and the form of the answer, and takes the exit code.
void add_doctor_commands(CLI::App& app, DoctorCommandLine& line, DaemonCommandLine& daemon,
                         std::ostream& out, std::ostream& err);

}  // namespace quire::client
