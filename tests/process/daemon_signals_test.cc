// What signals, terminals and a log that nobody reads do to the daemon: nothing it did not mean.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/raw_client.h"

namespace quire::tests::daemon_signals_test {

namespace {

constexpr int kBadConnects = 800;

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class FlaggedDaemon {
 public:
  explicit FlaggedDaemon(const std::string& flags) {
    write(flags);
    daemon_.emplace(
        DaemonProcess::Options{.flags = {"--flagfile=" + flags_path_}, .log_path = log_path_});
  }
  ~FlaggedDaemon() {
    daemon_.reset();
    std::filesystem::remove(flags_path_);
    std::filesystem::remove(log_path_);
  }
  void write(const std::string& flags) const { std::ofstream(flags_path_) << flags; }
  bool log_comes_to_have(const std::string& part) const {
    return eventually([&] { return read_file(log_path_).find(part) != std::string::npos; });
  }
  void hang_up() const { ::kill(daemon_->pid(), SIGHUP); }
  DaemonProcess& daemon() { return *daemon_; }

 private:
  const std::string flags_path_ = testing::TempDir() + "quire-signals-test.flags";
  const std::string log_path_ = testing::TempDir() + "quire-signals-test.log";
  std::optional<DaemonProcess> daemon_;
};

uint64_t unlogged_lines(DaemonProcess& daemon) {
  const boost::json::value status = boost::json::parse(daemon.status_json());
  const boost::json::value& log = status.at("log");
  return log.at("dropped_lines").to_number<uint64_t>() +
         log.at("left_out_lines").to_number<uint64_t>();
}

}  // namespace

TEST(DaemonSignals, HangUpReloadsWhatIsSafeAndNamesWhatIsNot) {
  FlaggedDaemon flagged("--log_level=info\n");
  const auto client = flagged.daemon().connect();
  const auto session = committed_session(*client, 1);
  flagged.write("--log_level=info\n--spin_us=50\n--tenants=0=acme;*\n--ram_bytes=128MiB\n");
  flagged.hang_up();
  EXPECT_TRUE(flagged.log_comes_to_have("nothing was changed: --tenants"));

  const std::string uid = std::to_string(::getuid());
  flagged.write("--log_level=info\n--spin_us=50\n--tenants=" + uid + "=acme\n--ram_bytes=128MiB\n");
  flagged.hang_up();
  EXPECT_TRUE(flagged.log_comes_to_have("SIGHUP: changed: spin_us, tenants"));
  EXPECT_TRUE(flagged.log_comes_to_have("SIGHUP: needs a restart: ram_bytes"));
  EXPECT_TRUE(hits_bit_exactly(*session)) << "whoever was there goes on";
  EXPECT_TRUE(eventually([&] {
    client::SessionOptions options;
    options.layout = session->layout();
    options.tenant = "other";
    return client->open_session(options).code() == model::Errc::kPermissionDenied;
  }));
}

TEST(DaemonSignals, HangUpWithABrokenFlagFileChangesNothing) {
  FlaggedDaemon flagged("--log_level=info\n");
  const auto expect_refused = [&](const std::string& flags, const std::string& reason) {
    flagged.write(flags);
    flagged.hang_up();
    EXPECT_TRUE(flagged.log_comes_to_have(reason)) << reason;
  };
  expect_refused("--ram_bites=1GiB\n", "unknown flag --ram_bites; did you mean --ram_bytes?");
  expect_refused("--spin_us=many\n", "a flag has a value that it cannot take");
  expect_refused("spin_us=1\n", "is no flag");
  EXPECT_TRUE(flagged.daemon().connect()->ping().ok());
}

TEST(DaemonSignals, OthersAreLivedThroughAndQuitStopsInOrder) {
  DaemonProcess daemon;
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1);
  for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ, SIGTTOU}) {
    ::kill(daemon.pid(), signal);
    EXPECT_TRUE(client->ping().ok()) << "signal " << signal;
  }
  EXPECT_TRUE(hits_bit_exactly(*session));
  ::kill(daemon.pid(), SIGQUIT);
  EXPECT_TRUE(eventually([&] { return !daemon.running(); }));
  EXPECT_EQ(daemon.stop(), 0) << "which finds it ended";
  EXPECT_FALSE(std::filesystem::exists(daemon.socket_path()));
  daemon.start();
}

TEST(DaemonSignals, ClosedTerminalDoesNotEndIt) {
  model::FdGuard terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_TRUE(terminal.valid());
  ASSERT_EQ(::grantpt(terminal.get()), 0);
  ASSERT_EQ(::unlockpt(terminal.get()), 0);
  const std::string name = ::ptsname(terminal.get());
  DaemonProcess daemon({.flags = {"--log_level=info"}, .before_exec = [name] {
                          ::setsid();
                          const int fd = ::open(name.c_str(), O_RDWR);  // becomes its terminal
                          for (int i = 0; i <= STDERR_FILENO; ++i) ::dup2(fd, i);
                        }});
  const auto client = daemon.connect();
  terminal.reset();  // HUP, and every write to it fails from now on
  EXPECT_EQ(send_and_read_error(daemon.socket_path(), "no frame at all!"),
            model::Errc::kMalformedFrame);
  EXPECT_TRUE(client->ping().ok());
  EXPECT_TRUE(daemon.running());
}

TEST(DaemonLog, StandardErrorThatNobodyDrainsHangsNobody) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const model::FdGuard read_end(ends[0]);
  const model::FdGuard write_end(ends[1]);
  const std::string bytes(4096, '.');
  ::fcntl(write_end.get(), F_SETFL, O_NONBLOCK);
  while (::write(write_end.get(), bytes.data(), bytes.size()) > 0) {
  }
  ::fcntl(write_end.get(), F_SETFL, 0);
  DaemonProcess daemon({.flags = {"--log_level=debug"},
                        .before_exec = [fd = write_end.get()] { ::dup2(fd, STDERR_FILENO); }});
  for (int i = 0; i < kBadConnects; ++i) {
    ASSERT_EQ(send_and_read_error(daemon.socket_path(), "no frame at all!"),
              model::Errc::kMalformedFrame);
  }
  EXPECT_TRUE(daemon.connect()->ping().ok());
  EXPECT_GE(unlogged_lines(daemon), kBadConnects / 2u) << "shown in the status";
  EXPECT_EQ(daemon.stop(), 0) << "nor does the stop hang";
  daemon.start();
}

TEST(DaemonLog, ClosedStandardErrorIsNoFileOfTheDaemons) {
  DaemonProcess daemon({.before_exec = [] {
    for (int fd = 0; fd <= STDERR_FILENO; ++fd) ::close(fd);
  }});
  EXPECT_TRUE(daemon.connect()->ping().ok());
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    const std::string link = "/proc/" + std::to_string(daemon.pid()) + "/fd/" + std::to_string(fd);
    EXPECT_EQ(std::filesystem::read_symlink(link), "/dev/null") << fd;
  }
}

TEST(Quired, UnknownFlagOfAFlagFileIsNamedWithItsLine) {
  const std::string path = testing::TempDir() + "quired-unknown.flags";
  std::ofstream(path) << "--log_level=info\n--ram_bites=1GiB\n";
  const Output output = run_program("quired", {"--flagfile=" + path, "--check_config"});
  std::filesystem::remove(path);
  EXPECT_EQ(output.exit_code, 2) << output.text;
  EXPECT_NE(output.text.find(path + ":2: unknown flag --ram_bites; did you mean --ram_bytes?"),
            std::string::npos)
      << output.text;
}

}  // namespace quire::tests::daemon_signals_test
