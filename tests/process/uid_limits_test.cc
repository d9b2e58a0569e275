// Laws 10 and 13 between users: what all share has a bound for each, some of it is kept for
// administrators, and nobody sees what others do. With real uids, so as root only.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::uid_limits_test {

using client::Client;
using client::Session;
using model::Errc;
using model::FdGuard;

namespace {

constexpr uid_t kGreedy = 20002;
constexpr uid_t kOther = 20001;

void become(uid_t uid) {
  const bool changed = ::setgroups(0, nullptr) == 0 && ::setgid(uid) == 0 && ::setuid(uid) == 0;
  QUIRE_CHECK(changed);
}

std::unique_ptr<Client> connect_to(const DaemonProcess& daemon) {
  auto connected = Client::connect({.socket_path = daemon.socket_path(), .client_name = "user"});
  if (!connected.ok()) std::fprintf(stderr, "connect: %s\n", connected.error().text.c_str());
  QUIRE_CHECK(connected.ok());
  return std::move(connected).value();
}

// A user of another uid goes through its life.
int live_as(uid_t uid, const DaemonProcess& daemon) {
  become(uid);
  const auto client = connect_to(daemon);
  const auto session = committed_session(*client, uid);
  return hits_bit_exactly(*session) ? 0 : 1;
}

class UidLimits : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to have other uids";
  }
  // The daemon is as it should be for everybody but the greedy one.
  static void expect_others_served(DaemonProcess& daemon) {
    const Output status = run_program("quirectl", {"--socket", daemon.socket_path(), "status"});
    EXPECT_EQ(status.exit_code, 0) << status.text;
    TestProcess other = TestProcess::call([&](Channel&) { return live_as(kOther, daemon); });
    EXPECT_EQ(other.wait(), 0);
  }
};

int take_every_connection(const std::string& socket_path, Channel& channel) {
  become(kGreedy);
  const std::string hello =
      frame_bytes(1, model::kProtocolVersion, model::struct_bytes(model::HelloRequest{}));
  std::vector<FdGuard> held;
  Errc code = Errc::kOk;
  while (code == Errc::kOk && held.size() < 100) {
    held.push_back(connect_raw(socket_path));
    [[maybe_unused]] const ssize_t sent =
        ::send(held.back().get(), hello.data(), hello.size(), MSG_NOSIGNAL);
    code = read_error(held.back().get());
  }
  channel.send("r");
  channel.receive();
  ChildChecks checks;
  checks.expect(code == Errc::kBusy, "the one beyond its share is told that it is busy");
  checks.expect(held.size() == 24 + 1, "its share of 32 is three quarters");
  return checks.failures();
}

int take_every_descriptor(const DaemonProcess& daemon, Channel& channel) {
  become(kGreedy);
  const auto client = connect_to(daemon);
  std::vector<std::unique_ptr<Session>> sessions;
  auto opened = client->open_session(session_options(small_append_layout()));
  for (; opened.ok(); opened = client->open_session(session_options(small_append_layout()))) {
    sessions.push_back(std::move(opened).value());
  }
  channel.send("r");
  channel.receive();
  ChildChecks checks;
  checks.expect(opened.code() == Errc::kBusy, "busy");
  checks.expect(opened.error().text.find("has its share of descriptors") != std::string::npos,
                opened.error().text);
  checks.expect(sessions.size() > 10, "some it had");
  return checks.failures();
}

// Only uid and gid 0 have a number in it.
void enter_small_user_namespace() {
  const auto write_file = [](const char* path, std::string_view text) {
    const FdGuard file(::open(path, O_WRONLY | O_CLOEXEC));
    return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  const bool entered =
      ::unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
      write_file("/proc/self/uid_map", "0 0 1") && write_file("/proc/self/gid_map", "0 0 1");
  if (!entered) ::_exit(77);
}

}  // namespace

TEST_F(UidLimits, Law10_OneUidCannotTakeEveryConnection) {
  DaemonProcess daemon({.flags = {"--max_connections=32"}});
  TestProcess greedy = TestProcess::call(
      [&](Channel& channel) { return take_every_connection(daemon.socket_path(), channel); });
  ASSERT_EQ(greedy.channel().receive(), "r");
  expect_others_served(daemon);
  greedy.channel().send(".");
  EXPECT_EQ(greedy.wait(), 0);
  EXPECT_TRUE(daemon.eventually([](const DaemonStatus& now) { return now.connected == 1; }));
}

TEST_F(UidLimits, Law10_OneUidCannotTakeEveryDescriptor) {
  DaemonProcess daemon({.ram_mib = 128, .open_file_limit = 256});
  TestProcess greedy =
      TestProcess::call([&](Channel& channel) { return take_every_descriptor(daemon, channel); });
  ASSERT_EQ(greedy.channel().receive(), "r");
  expect_others_served(daemon);
  greedy.channel().send(".");
  EXPECT_EQ(greedy.wait(), 0);
}

TEST_F(UidLimits, Law13_StatusTellsAUserNothingOfOthers) {
  DaemonProcess daemon({.ram_mib = 128});
  const auto owner = daemon.connect("owner");
  const auto session = committed_session(*owner, 1);
  TestProcess stranger = TestProcess::call([&](Channel& channel) {
    become(kOther);
    const auto client = connect_to(daemon);
    const auto before = client->status_json();
    channel.send("r");
    channel.receive();
    const auto after = client->status_json();
    ChildChecks checks;
    checks.expect(before.ok() && after.ok(), "it is answered");
    checks.expect(*before == *after, "what others did does not show");
    checks.expect(before->find("\"scope\":\"own\"") != std::string::npos, "its own scope");
    checks.expect(before->find("uid:20001") != std::string::npos, "its own domain");
    checks.expect(before->find("\"uid:0\"") == std::string::npos, "no other domain");
    checks.expect(before->find("hit") == std::string::npos, "no counters of all");
    return checks.failures();
  });
  ASSERT_EQ(stranger.channel().receive(), "r");
  EXPECT_TRUE(hits_bit_exactly(*session));
  const auto more = committed_session(*owner, 2);
  stranger.channel().send(".");
  EXPECT_EQ(stranger.wait(), 0);
  EXPECT_NE(daemon.status_json().find("\"uid:0\""), std::string::npos) << "root sees all";
}

TEST_F(UidLimits, Law13_UsersThatTheNamespaceDoesNotMapAreRefused) {
  TestProcess probe = TestProcess::call([](Channel&) {
    enter_small_user_namespace();
    return 0;
  });
  if (probe.wait() != 0) GTEST_SKIP() << "no user namespace can be made here";
  DaemonProcess daemon({.before_exec = enter_small_user_namespace});
  EXPECT_TRUE(daemon.connect("root")->ping().ok()) << "uid 0 has a number there";
  TestProcess stranger = TestProcess::call([&](Channel&) {
    become(kOther);
    const auto connected = Client::connect({.socket_path = daemon.socket_path()});
    ChildChecks checks;
    checks.expect(connected.code() == Errc::kPermissionDenied, "refused");
    checks.expect(
        !connected.ok() && connected.error().text.find("user namespace") != std::string::npos,
        "and told why");
    return checks.failures();
  });
  EXPECT_EQ(stranger.wait(), 0);
}

}  // namespace quire::tests::uid_limits_test
