// quired as a service manager runs it, and its flags changed while it serves.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/layout_toml.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/patient_client.h"
#include "tests/support/service_socket.h"
#include "tests/support/small_layout.h"

namespace quire::tests::service_process_test {

namespace {

using model::Errc;

constexpr uid_t kStranger = 65534;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string contents_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string own_path(const std::string& name) {
  return testing::TempDir() + "quire-" + name + "-" + std::to_string(::getpid());
}

// A daemon with a log of its own, and what quirectl says to it.
class ConfigurableDaemon {
 public:
  explicit ConfigurableDaemon(std::vector<std::string> flags, const std::string& name)
      : log_path_(own_path(name)) {
    std::filesystem::remove(log_path_);
    daemon_.emplace(DaemonProcess::Options{.flags = std::move(flags), .log_path = log_path_});
  }
  ~ConfigurableDaemon() {
    daemon_.reset();
    std::filesystem::remove(log_path_);
  }
  Output config(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket=" + daemon_->socket_path(), "config"});
    return run_program("quirectl", arguments);
  }
  std::string log() const { return contents_of(log_path_); }
  bool log_comes_to_have(const std::string& part) const {
    return eventually([&] { return contains(log(), part); });
  }
  DaemonProcess& daemon() { return *daemon_; }

 private:
  const std::string log_path_;
  std::optional<DaemonProcess> daemon_;
};

// A manager's socket and a directory for it.
class ManagedSocket {
 public:
  ManagedSocket() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    std::filesystem::create_directories(directory_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = path();
    std::copy(name.begin(), name.end(), address.sun_path);
    QUIRE_CHECK(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    QUIRE_CHECK(::listen(fd_.get(), 8) == 0);
  }
  ~ManagedSocket() { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/quired.sock"; }

  // quired, with `count` descriptors from 3 on, all this socket.
  TestProcess start(int count, const std::string& notify, int output_fd = -1) const {
    return TestProcess::exec(
        {program_path("quired"), "--ram_bytes=64MiB", "--huge_pages=off", "--log_level=error"},
        {.output_fd = output_fd, .before_exec = [this, count, notify] {
           const int kept = ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 100);
           for (int fd = 3; fd < 3 + count; ++fd) ::dup2(kept, fd);
           ::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
           ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
           ::setenv("NOTIFY_SOCKET", notify.c_str(), 1);
         }});
  }

 private:
  const std::string directory_ = own_path("managed");
  const model::FdGuard fd_;
};

}  // namespace

TEST(Service, InheritedSocketIsServedAndLeftToItsOwner) {
  const ManagedSocket socket;
  const ServiceSocket manager;
  for (int life = 0; life < 2; ++life) {
    TestProcess quired = socket.start(1, manager.path());
    // Also before it is ready: the manager's socket holds who comes early.
    const auto client = client::Client::connect(patient_client(socket.path(), "early"));
    ASSERT_TRUE(client.ok()) << client.error().text;
    const auto session = committed_session(**client, 1);
    EXPECT_TRUE(hits_bit_exactly(*session));
    EXPECT_TRUE(manager.comes("READY=1"));
    quired.signal(SIGTERM);
    EXPECT_TRUE(manager.comes("STOPPING=1"));
    EXPECT_EQ(quired.wait(), 0);
    EXPECT_TRUE(std::filesystem::is_socket(socket.path())) << "for the next daemon";
    EXPECT_FALSE(std::filesystem::exists(socket.path() + ".lock"));
  }
}

TEST(Service, SeveralInheritedSocketsAreRefused) {
  const ManagedSocket socket;
  TestProcess quired = socket.start(2, "");
  EXPECT_EQ(quired.wait(), 2);
}

TEST(Service, ReloadIsToldToTheManager) {
  const ServiceSocket manager;
  DaemonProcess daemon(
      {.before_exec = [path = manager.path()] { ::setenv("NOTIFY_SOCKET", path.c_str(), 1); }});
  ASSERT_TRUE(manager.comes("READY=1"));
  ::kill(daemon.pid(), SIGHUP);
  EXPECT_TRUE(manager.comes("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_TRUE(manager.comes("READY=1"));
}

TEST(Config, ShowListsEveryFlagWithValueOriginAndWhetherItIsLive) {
  ConfigurableDaemon configurable({"--spin_us=77"}, "config-show");
  const Output shown = configurable.config({"show"});
  EXPECT_EQ(shown.exit_code, 0) << shown.text;
  EXPECT_TRUE(contains(shown.text, "--spin_us=77  # given, live\n")) << shown.text;
  EXPECT_TRUE(contains(shown.text, "--segment_bytes=64MiB  # default\n")) << shown.text;
  const auto json = boost::json::parse(configurable.config({"show", "-o", "json"}).text);
  EXPECT_GT(json.at("flags").as_array().size(), 40u);
}

TEST(Config, SetChangesTheDaemonAndTellsWhoAndFromAndTo) {
  ConfigurableDaemon configurable({"--log_level=warning"}, "config-set");
  const Output set = configurable.config({"set", "log-level", "info"});
  EXPECT_EQ(set.exit_code, 0) << set.text;
  EXPECT_TRUE(contains(set.text, "--log_level=info  # set, live\n")) << set.text;
  const std::string who = "audit=change uid=" + std::to_string(::geteuid()) + " pid=";
  EXPECT_TRUE(contains(configurable.log(), who)) << configurable.log();
  EXPECT_TRUE(
      contains(configurable.log(), " verb=config action=set key=log-level from=warning to=info\n"));
  ::kill(configurable.daemon().pid(), SIGUSR1);
  EXPECT_TRUE(configurable.log_comes_to_have("means nothing here")) << "which is of level info";
}

TEST(Config, NewBoundOfConnectionsIsInForceUntilHangUp) {
  ConfigurableDaemon configurable({"--log_level=info"}, "config-bound");
  const client::ClientOptions options{.socket_path = configurable.daemon().socket_path()};
  EXPECT_EQ(configurable.config({"set", "max_connections", "1"}).exit_code, 0);
  EXPECT_EQ(client::Client::connect(options).code(), Errc::kBusy) << "the test's observer is one";
  ::kill(configurable.daemon().pid(), SIGHUP);
  EXPECT_TRUE(configurable.log_comes_to_have("SIGHUP: changed: max_connections"));
  EXPECT_TRUE(eventually([&] { return client::Client::connect(options).ok(); }));
}

TEST(Config, HangUpPutsBackWhatTheFilesSay) {
  ConfigurableDaemon configurable({"--log_level=info"}, "config-hup");
  EXPECT_EQ(configurable.config({"set", "spin_us", "55"}).exit_code, 0);
  ::kill(configurable.daemon().pid(), SIGHUP);
  EXPECT_TRUE(configurable.log_comes_to_have("SIGHUP: changed: spin_us"));
  EXPECT_TRUE(contains(configurable.config({"show"}).text, "--spin_us=100  # given, live\n"));
}

// The file that a value names may lie where nobody answers; receipts and copies are written all the
// same, which a stop that is given up after its bound would not do.
TEST(Config, AStopDoesNotWaitForAFileThatHangs) {
  const std::string pipe = own_path("config-pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ConfigurableDaemon configurable({}, "config-hang");
  TestProcess asker = TestProcess::exec(
      {program_path("quirectl"), "--socket=" + configurable.daemon().socket_path(), "config", "set",
       "quota_file", pipe},
      {});
  // Opened for writing without a wait: somebody opens it for reading, and stays there.
  model::FdGuard writer;
  EXPECT_TRUE(eventually([&] {
    writer = model::FdGuard(::open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    return writer.valid();
  }));
  EXPECT_EQ(configurable.daemon().stop(), 0);
  EXPECT_TRUE(contains(configurable.log(), "the change is given up"));
  EXPECT_NE(asker.wait(), 0);
  std::filesystem::remove(pipe);
}

TEST(Config, WrongKeysAndValuesAreNamedAndChangeNothing) {
  ConfigurableDaemon configurable({"--log_level=warning"}, "config-wrong");
  const auto expect_refused = [&](const std::string& key, const std::string& value,
                                  const std::string& reason) {
    const Output refused = configurable.config({"set", key, value});
    EXPECT_EQ(refused.exit_code, 2) << refused.text;
    EXPECT_TRUE(contains(refused.text, "invalid_argument")) << refused.text;
    EXPECT_TRUE(contains(refused.text, reason)) << refused.text;
  };
  expect_refused("log_levle", "info", "no key \"log_levle\"; did you mean log_level?");
  expect_refused("ram_bytes", "2GiB", "ram_bytes needs a restart");
  expect_refused("spin_us", "many", "--spin_us cannot be \"many\"");
  expect_refused("log_level", "loud", "--log_level must be debug, info, warning or error");
  expect_refused("log_format", "xml", "--log_format must be text, logfmt or json");
  expect_refused("tenants", "0=acme;*", "--tenants");
  const Output missing = configurable.config({"set", "quota_file", "/nowhere/quotas.toml"});
  EXPECT_EQ(missing.exit_code, 5) << "not found: " << missing.text;
  const std::string shown = configurable.config({"show"}).text;
  EXPECT_FALSE(contains(shown, "# set")) << shown;
  EXPECT_FALSE(contains(configurable.log(), "audit=")) << configurable.log();
}

TEST(Config, QuotaFileIsReadWhenItIsSet) {
  const std::string path = own_path("config-quotas.toml");
  std::ofstream(path) << "[[quota]]\ntier = \"ram\"\ndomain = \"uid:1000\"\nburst = \"16MiB\"\n";
  ConfigurableDaemon configurable({}, "config-quota");
  EXPECT_EQ(configurable.config({"set", "quota_file", path}).exit_code, 0);
  EXPECT_TRUE(contains(*configurable.daemon().connect()->quota_json(), "\"burst_bytes\":16777216"));
  std::filesystem::remove(path);
}

TEST(Config, OthersThanAdministratorsAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  DaemonProcess daemon;
  TestProcess stranger = TestProcess::call([path = daemon.socket_path()](Channel&) {
    ChildChecks checks;
    checks.expect(
        ::setgroups(0, nullptr) == 0 && ::setgid(kStranger) == 0 && ::setuid(kStranger) == 0,
        "the uid changes");
    const auto client = client::Client::connect({.socket_path = path});
    checks.expect(client.ok(), "it may connect");
    if (!client.ok()) return checks.failures();
    checks.expect((*client)->config_json().code() == Errc::kPermissionDenied, "show is refused");
    checks.expect((*client)->set_config("log_level", "debug").code() == Errc::kPermissionDenied,
                  "set is refused");
    return checks.failures();
  });
  EXPECT_EQ(stranger.wait(), 0);
}

TEST(Config, LogFormatChangesWhileItServes) {
  ConfigurableDaemon configurable({"--log_level=info", "--log_format=json"}, "config-format");
  ASSERT_TRUE(configurable.log_comes_to_have("listening on"));
  EXPECT_EQ(configurable.config({"set", "log_format", "logfmt"}).exit_code, 0);
  ASSERT_TRUE(configurable.log_comes_to_have("audit="));
  EXPECT_EQ(configurable.daemon().stop(), 0);  // its log is whole
  std::istringstream lines(configurable.log());
  std::string line;
  int json = 0;
  int logfmt = 0;
  while (std::getline(lines, line)) {
    if (line.starts_with("time=")) {
      EXPECT_TRUE(contains(line, "Z level=") && contains(line, " msg=\"")) << line;
      ++logfmt;
      continue;
    }
    const auto parsed = boost::json::parse(line);
    EXPECT_FALSE(parsed.at("msg").as_string().empty()) << line;
    EXPECT_EQ(logfmt, 0) << "all of it is in the new format from then on";
    ++json;
  }
  EXPECT_GT(json, 0);
  EXPECT_GT(logfmt, 1) << configurable.log();
  configurable.daemon().start();
}

// The examples that libquire-dev ships: each writes, finds and compares every byte by itself.
TEST(PackagePrograms, WriteFindAndCompareInCAndCpp) {
  DaemonProcess daemon;
  ::setenv("QUIRE_SOCKET", daemon.socket_path().c_str(), 1);
  for (const model::Layout& layout : {small_hybrid_layout(), small_append_layout()}) {
    const std::string path = daemon.directory() + "/" + layout.name + ".toml";
    std::ofstream(path) << model::layout_to_toml(layout);
    for (const char* program : {"package_c", "package_cc"}) {
      const Output output = run_program(program, {path});
      EXPECT_EQ(output.exit_code, 0) << program << ": " << output.text;
      EXPECT_TRUE(contains(output.text, "bytes came back as they were")) << output.text;
      const Output again = run_program(program, {path});
      EXPECT_EQ(again.exit_code, 1) << "what is there already is no new write: " << again.text;
    }
  }
  ::unsetenv("QUIRE_SOCKET");
}

TEST(Quired, PrintManIsOnePageOfEveryFlag) {
  const Output page = run_program("quired", {"--print_man"});
  EXPECT_EQ(page.exit_code, 0);
  EXPECT_TRUE(page.text.starts_with(".TH QUIRED 8")) << page.text;
  EXPECT_TRUE(contains(page.text, "\\-\\-log_format\\fR=text")) << page.text;
  EXPECT_TRUE(contains(page.text, "debug, info, warning or error (\\fIlive\\fR)")) << page.text;
}

}  // namespace quire::tests::service_process_test
