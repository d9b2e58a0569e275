// The support archive: what who helps from afar asks for first, in one file, without names.
#pragma once

#include <string>
#include <vector>

#include "client/quirectl/daemon_command.h"
#include "client/quirectl/doctor/doctor.h"
#include "model/result.h"

namespace quire::client {

struct BundleOptions {
  std::string path;         // of the archive, made anew; readable by its owner alone
  bool keep_names = false;  // nothing is taken out
  DoctorOptions doctor;
};

// What a file of it could not be made of is said in the file. kIoError: the archive cannot be
// written. Returns what it holds.
struct BundledFile {
  std::string name;
  size_t bytes = 0;
};
model::Result<std::vector<BundledFile>> write_bundle(const DaemonCommandLine& line,
                                                     const BundleOptions& options,
                                                     const std::string& version);

}  // namespace quire::client
