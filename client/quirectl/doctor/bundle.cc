#include "client/quirectl/doctor/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "client/quirectl/daemon_answer.h"
#include "client/quirectl/doctor/redaction.h"
#include "client/quirectl/doctor/tar_archive.h"
#include "client/quirectl/readable.h"
#include "model/fd_guard.h"

namespace quire::client {

namespace {

using model::Result;
using Files = std::vector<std::pair<std::string, std::string>>;  // name, text

std::string said(const model::Error& error) {
  return std::string(model::errc_name(error.code)) + ": " + error.text + "\n";
}

// What the daemon says of itself, each document a file.
void add_documents(Client& client, Redaction& redaction, Files& files) {
  const auto add = [&](const std::string& name, const Result<std::string>& json) {
    const Result<std::string> text = json.ok() ? redaction.document(*json) : json;
    files.emplace_back(name, text.ok() ? *text + "\n" : said(text.error()));
  };
  add("status.json", client.status_json());
  add("sessions.json", client.sessions_json());
  add("tenants.json", client.tenants_json());
  add("policy.json", client.policy_json());
  add("quota.json", client.quota_json());
  add("pin.json", client.pin_json());
  add("kept.json", client.kept_json(model::KeptAction::kShow));
  add("scrub.json", client.scrub_json(model::ScrubAction::kStatus));
  add("advice.json", client.advice_json(model::TierId::kRam, model::AdviceWindow::kHour));
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Without the host's name.
std::string machine_text() {
  utsname name{};
  ::uname(&name);
  return std::string(name.sysname) + ' ' + name.release + ' ' + name.machine + "\n\n" +
         contents("/proc/meminfo") + '\n' + contents("/proc/loadavg");
}

Result<void> write_private(const std::string& path, const std::string& bytes) {
  const model::FdGuard file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  // One that was there keeps nobody else's rights.
  if (!file.valid() || ::fchmod(file.get(), 0600) != 0) return model::errno_error(path);
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (wrote < 0) return model::errno_error("write " + path);
    done += static_cast<size_t>(wrote);
  }
  return {};
}

}  // namespace

Result<std::vector<BundledFile>> write_bundle(const DaemonCommandLine& line,
                                              const BundleOptions& options,
                                              const std::string& version) {
  Redaction redaction(options.keep_names);
  Files files;
  auto client = connect_to_daemon(line);
  DaemonWord daemon;
  if (client.ok()) {
    add_documents(**client, redaction, files);
    daemon = ask_daemon(**client);
  } else {
    daemon.error = client.error().text;
    files.emplace_back("status.json", said(client.error()));
  }
  const QuiredFlags flags = find_flags(line.socket_path, options.doctor.flagfile);
  const HealthChecks checks = examine(options.doctor, flags, daemon);
  files.emplace_back("doctor.json", health_json(checks) + "\n");
  const auto config = output_of_quired(options.doctor.quired, flags, "--print_config");
  files.emplace_back("config.txt", config.ok() ? redaction.config(*config) : said(config.error()));
  if (flags.pid != 0) {
    files.emplace_back("limits.txt", contents("/proc/" + std::to_string(flags.pid) + "/limits"));
  }
  files.emplace_back("machine.txt", machine_text());
  files.emplace_back("version.txt", "quirectl " + version + "\n");

  TarArchive archive(std::time(nullptr));
  std::vector<BundledFile> told;
  for (const auto& [name, text] : files) {
    archive.add("quire-bundle/" + name, text);
    told.push_back({name, text.size()});
  }
  QUIRE_TRY(write_private(options.path, archive.finish()));
  return told;
}

}  // namespace quire::client
