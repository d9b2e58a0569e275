// Laws 6 and 10: many clients, silent clients and clients that stop in the middle of a frame cost a
// bounded amount and delay nobody.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/patience.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::client_crowd_test {

using model::FdGuard;

namespace {

constexpr uint32_t kFewFiles = 80;
constexpr int kStorm = 200;
constexpr size_t kSlowClients = 50;
constexpr uint64_t kSlowClientFiles = 2;           // its socket and its pidfd
constexpr uint64_t kSlowClientBytes = 2ull << 20;  // a frame of 1 MiB, and the step it is read by

// Never waits: a full backlog leaves the socket unconnected.
FdGuard try_connect(const std::string& path) {
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  [[maybe_unused]] const int connected =
      ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  return fd;
}

// What the daemon says to a connection before that said anything.
model::Errc read_refusal(const std::string& path) {
  const FdGuard fd = try_connect(path);
  std::string bytes(sizeof(model::FrameHeader) + sizeof(model::ReplyStatus), '\0');
  const bool whole = eventually([&] {
    return ::recv(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) ==
           static_cast<ssize_t>(bytes.size());
  });
  const auto status = model::read_struct<model::ReplyStatus>(
      std::string_view(bytes).substr(sizeof(model::FrameHeader)));
  return whole ? static_cast<model::Errc>(status->code) : model::Errc::kClosed;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    QUIRE_CHECK(sent > 0);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool works_for_newcomers(const DaemonProcess& daemon, uint64_t context) {
  return eventually([&] {
    const auto client = client::Client::connect({.socket_path = daemon.socket_path(),
                                                 .client_name = "newcomer",
                                                 .connect_timeout_ms = kPatienceMs / 10});
    if (!client.ok()) return false;
    // What closed sessions had is free soon after they closed.
    const auto session = try_committed_session(**client, context);
    return session.ok() && hits_bit_exactly(**session);
  });
}

// UBSan probes an object of a type that it sees for the first time through a pipe: let it see them
// while there are descriptors.
void warm_up(DaemonProcess& daemon) {
  ASSERT_TRUE(works_for_newcomers(daemon, 1000));
  ASSERT_TRUE(daemon.eventually([](const DaemonStatus& now) { return now.connected == 1; }));
}

// The sockets stay open as long as the vector does.
std::vector<RawClient> half_frames(const std::string& socket_path, const std::string& half) {
  std::vector<RawClient> clients;
  for (size_t i = 0; i < kSlowClients; ++i) {
    clients.emplace_back(socket_path);
    send_all(clients.back().fd(), half);
  }
  return clients;
}

void expect_slow_clients_cost_little(const std::string& half) {
  DaemonProcess daemon({.flags = {kNoGhosts}});
  const auto client = daemon.connect("witness");
  const auto session = committed_session(*client, 1);
  const DaemonStatus before = daemon.status();
  {
    const auto slow = half_frames(daemon.socket_path(), half);
    for (int round = 0; round < 20; ++round) EXPECT_TRUE(hits_bit_exactly(*session));
    EXPECT_TRUE(works_for_newcomers(daemon, 2));
    const DaemonStatus during = daemon.status();
    EXPECT_GE(during.connected, before.connected + kSlowClients);
    EXPECT_LE(during.open_files, before.open_files + kSlowClients * kSlowClientFiles + 16);
    EXPECT_LE(during.resident_bytes, before.resident_bytes + kSlowClients * kSlowClientBytes);
  }
  EXPECT_TRUE(daemon.eventually([&](const DaemonStatus& now) {
    return now.connected == before.connected && now.open_files == before.open_files;
  }));
}

}  // namespace

TEST(ClientCrowd, Law06_HalfAHeaderBlocksNobody) {
  expect_slow_clients_cost_little(frame_bytes(8, model::kProtocolVersion, "").substr(0, 8));
}

TEST(ClientCrowd, Law06_HalfAPayloadBlocksNobody) {
  const std::string whole =
      frame_bytes(2, model::kProtocolVersion, std::string(model::kMaxFrameBytes, 'x'));
  expect_slow_clients_cost_little(whole.substr(0, whole.size() / 2));
}

TEST(ClientCrowd, Law06_SilentConnectionsBlockNobody) {
  DaemonProcess daemon;
  const auto client = daemon.connect("witness");
  const auto session = committed_session(*client, 1);
  const DaemonStatus before = daemon.status();
  std::vector<FdGuard> silent;
  for (size_t i = 0; i < kSlowClients; ++i) silent.push_back(try_connect(daemon.socket_path()));
  EXPECT_TRUE(daemon.eventually(
      [&](const DaemonStatus& now) { return now.connected == before.connected + kSlowClients; }));
  EXPECT_TRUE(hits_bit_exactly(*session));
  EXPECT_TRUE(works_for_newcomers(daemon, 2));
}

TEST(ClientCrowd, Law10_StormWithFewDescriptorsHurtsNoSession) {
  DaemonProcess daemon({.flags = {kNoGhosts}, .open_file_limit = kFewFiles});
  warm_up(daemon);
  const auto client = daemon.connect("witness");
  const auto session = committed_session(*client, 1);
  const DaemonStatus before = daemon.status();
  for (int storm_number = 0; storm_number < 3; ++storm_number) {
    std::vector<FdGuard> storm;
    for (int i = 0; i < kStorm; ++i) storm.push_back(try_connect(daemon.socket_path()));
    EXPECT_TRUE(daemon.eventually([](const DaemonStatus& now) {
      return now.open_files >= kFewFiles - 2;
    })) << "the storm fills the table";
    for (int round = 0; round < 20; ++round) EXPECT_TRUE(hits_bit_exactly(*session));
    EXPECT_TRUE(client->ping().ok());
    storm.clear();
    EXPECT_TRUE(works_for_newcomers(daemon, 2 + static_cast<uint64_t>(storm_number)));
    EXPECT_TRUE(daemon.eventually([&](const DaemonStatus& now) {
      return now.connected == before.connected && now.open_files == before.open_files;
    }));
  }
  EXPECT_TRUE(hits_bit_exactly(*session));
}

TEST(ClientCrowd, Law10_SessionsThatTakeEveryDescriptorAreRefusedAndComeBack) {
  DaemonProcess daemon({.flags = {kNoGhosts}, .open_file_limit = kFewFiles});
  warm_up(daemon);
  const auto client = daemon.connect("greedy");
  const auto options = session_options(small_append_layout());
  std::vector<std::unique_ptr<client::Session>> sessions;
  auto opened = client->open_session(options);
  for (; opened.ok() && sessions.size() < kFewFiles; opened = client->open_session(options)) {
    sessions.push_back(std::move(opened).value());
  }
  EXPECT_FALSE(opened.ok()) << "a typed error, not the end of the connection";
  ASSERT_FALSE(sessions.empty());
  EXPECT_TRUE(client->ping().ok());
  for (const auto& session : sessions) EXPECT_TRUE(session->noop().ok());
  // Newcomers take what is left, then wait. Room comes by sessions that close: no client goes.
  std::vector<FdGuard> waiting;
  const std::string hello =
      frame_bytes(static_cast<uint16_t>(model::FrameType::kHello), model::kProtocolVersion,
                  model::struct_bytes(model::HelloRequest{}));
  for (int i = 0; i < 16; ++i) {
    waiting.push_back(try_connect(daemon.socket_path()));
    send_all(waiting.back().get(), hello);
  }
  EXPECT_TRUE(
      daemon.eventually([](const DaemonStatus& now) { return now.open_files >= kFewFiles - 1; }));
  sessions.clear();
  EXPECT_TRUE(works_for_newcomers(daemon, 2));
}

TEST(ClientCrowd, Law10_ClientBeyondTheBoundGetsATypedError) {
  DaemonProcess daemon({.flags = {"--max_connections=4"}});
  std::vector<std::unique_ptr<client::Client>> clients;  // with the observer, four
  for (int i = 0; i < 3; ++i) clients.push_back(daemon.connect());
  EXPECT_EQ(read_refusal(daemon.socket_path()), model::Errc::kBusy);
  EXPECT_FALSE(client::Client::connect({.socket_path = daemon.socket_path()}).ok());
  for (const auto& client : clients) EXPECT_TRUE(client->ping().ok());
  clients.pop_back();
  EXPECT_TRUE(works_for_newcomers(daemon, 1));
}

}  // namespace quire::tests::client_crowd_test
