#include "tests/process/daemon_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/patient_client.h"

namespace quire::tests {

namespace {

namespace json = boost::json;

uint64_t number(const json::value& object, std::string_view name) {
  return object.at(json::string_view(name.data(), name.size())).to_number<uint64_t>();
}

uint64_t sum(const json::value& list, std::string_view name) {
  uint64_t total = 0;
  for (const json::value& entry : list.as_array()) total += number(entry, name);
  return total;
}

DaemonStatus parse_status(const std::string& text) {
  const json::value status = json::parse(text);
  const json::value& clients = status.at("clients");
  const json::value& cache = status.at("cache");
  DaemonStatus parsed;
  parsed.connected = number(clients, "connected");
  parsed.sessions = number(clients, "sessions");
  parsed.attachments = number(clients, "attachments");
  parsed.draining = number(clients, "draining");
  parsed.sessions_ended_by_fault = number(clients, "sessions_ended_by_fault");
  parsed.session_shared_bytes = number(status.at("memory"), "session_shared_bytes");
  parsed.kept_bytes = number(status.at("memory"), "session_kept_bytes");
  parsed.kept_files = number(status.at("memory"), "session_kept_descriptors");
  parsed.leases = number(cache, "leases");
  parsed.fills = number(cache, "fills");
  parsed.spans = number(cache, "spans");
  parsed.checkpoints = number(cache, "checkpoints");
  parsed.pages = sum(status.at("domains"), "pages");
  parsed.group_pages = sum(status.at("groups"), "pages");
  return parsed;
}

uint64_t count_open_files(pid_t pid) {
  const std::filesystem::path folder = "/proc/" + std::to_string(pid) + "/fd";
  uint64_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

void read_memory(pid_t pid, DaemonStatus& status) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  const auto page_bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  uint64_t shared_pages = 0;
  statm >> total_pages >> resident_pages >> shared_pages;
  status.resident_bytes = resident_pages * page_bytes;
  status.private_bytes = (resident_pages - shared_pages) * page_bytes;
}

}  // namespace

DaemonProcess::DaemonProcess() : DaemonProcess(Options{}) {}

DaemonProcess::DaemonProcess(Options options) : options_(std::move(options)) {
  std::string pattern = "/tmp/quire-process-XXXXXX";
  QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  QUIRE_CHECK(::chmod(directory_.c_str(), 0755) == 0);  // for clients of another uid
  socket_path_ = directory_ + "/quired.sock";
  start();
}

DaemonProcess::~DaemonProcess() {
  if (process_) {
    EXPECT_EQ(stop(), 0) << "the daemon did not end well";
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::vector<std::string> DaemonProcess::command_line() const {
  std::vector<std::string> line = {
      program_path("quired"), "--socket=" + socket_path_,
      "--socket_mode=0666",   "--ram_bytes=" + std::to_string(options_.ram_mib) + "MiB",
      "--huge_pages=off",     "--log_level=error"};
  line.insert(line.end(), options_.flags.begin(), options_.flags.end());
  return line;
}

void DaemonProcess::start() {
  QUIRE_CHECK(!process_);
  model::FdGuard log;
  if (!options_.log_path.empty()) {
    log = model::FdGuard(
        ::open(options_.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    QUIRE_CHECK(log.valid());
  }
  process_.emplace(TestProcess::exec(command_line(), {.open_file_limit = options_.open_file_limit,
                                                      .output_fd = log.get(),
                                                      .before_exec = options_.before_exec}));
  const bool answers = tests::eventually([this] {
    auto connected = client::Client::connect(patient_client(socket_path_, "observer"));
    if (connected.ok()) observer_ = std::move(connected).value();
    return connected.ok() || !process_->running();
  });
  QUIRE_CHECK(answers && observer_ != nullptr);
}

std::unique_ptr<client::Client> DaemonProcess::connect(const std::string& name) const {
  auto connected = client::Client::connect(patient_client(socket_path_, name));
  if (!connected.ok()) std::fprintf(stderr, "connect: %s\n", connected.error().text.c_str());
  QUIRE_CHECK(connected.ok());
  return std::move(connected).value();
}

std::string DaemonProcess::status_json() {
  const auto text = observer_->status_json();
  QUIRE_CHECK(text.ok());
  return *text;
}

DaemonStatus DaemonProcess::own_status() { return parse_status(status_json()); }

DaemonStatus DaemonProcess::status() {
  DaemonStatus status = own_status();
  status.open_files = count_open_files(process_->pid());
  read_memory(process_->pid(), status);
  return status;
}

bool DaemonProcess::eventually(const std::function<bool(const DaemonStatus&)>& condition) {
  return tests::eventually([&] { return condition(status()); });
}

int DaemonProcess::stop() {
  observer_.reset();
  process_->signal(SIGTERM);
  const int exit_code = process_->wait();
  process_.reset();
  return exit_code;
}

void DaemonProcess::crash() {
  process_->signal(SIGKILL);
  process_->wait();
  process_.reset();
  observer_.reset();
}

}  // namespace quire::tests
