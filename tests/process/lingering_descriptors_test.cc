// Laws 6 and 11: a descriptor that is sent to the daemon may be one whose last close lasts as long
// as its owner wishes. The daemon neither receives nor closes it where others wait.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/lingering_socket.h"
#include "tests/support/raw_client.h"

namespace quire::tests::lingering_descriptors_test {

using model::FdGuard;

namespace {

constexpr int kSockets = 8;

// Sends it along with `bytes`, and closes it.
void give_away(int to, LingeringSocket& socket, std::string_view bytes, int flags = 0) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = socket.fd.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  QUIRE_CHECK(::sendmsg(to, &message, flags | MSG_NOSIGNAL) > 0);
  socket.fd.reset();
}

char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t at = line.rfind(')');
  return at == std::string::npos || at + 2 >= line.size() ? '?' : line[at + 2];
}

class LingeringDescriptors : public testing::Test {
 protected:
  // While the daemon stands still, so that it has the last reference: the last close is the one
  // that lingers.
  void give_to_daemon(int to, std::string_view bytes, int flags = 0) {
    sockets_.push_back(make_lingering_socket());
    ASSERT_EQ(::kill(daemon_.pid(), SIGSTOP), 0);
    EXPECT_TRUE(eventually([&] { return state_of(daemon_.pid()) == 'T'; }));
    give_away(to, sockets_.back(), bytes, flags);
    ASSERT_EQ(::kill(daemon_.pid(), SIGCONT), 0);
  }
  // Everybody else is served while the sockets are still open.
  void expect_served(uint64_t context) {
    const auto client = daemon_.connect("neighbour");
    const auto session = committed_session(*client, context);
    EXPECT_TRUE(hits_bit_exactly(*session));
    EXPECT_TRUE(daemon_.eventually([](const DaemonStatus& now) { return now.connected == 2; }));
  }
  // At its stop it does not wait for them either.
  DaemonProcess daemon_;
  std::vector<LingeringSocket> sockets_;
};

}  // namespace

TEST_F(LingeringDescriptors, Law06_WithAFrame) {
  const std::string ping = frame_bytes(8, model::kProtocolVersion, "");
  for (int i = 0; i < kSockets; ++i) {
    RawClient client(daemon_.socket_path());
    give_to_daemon(client.fd(), ping);
    const auto reply = model::read_struct<model::ReplyStatus>(client.receive());
    EXPECT_EQ(static_cast<model::Errc>(reply->code), model::Errc::kUnexpectedDescriptors);
  }
  expect_served(1);
}

TEST_F(LingeringDescriptors, Law06_BehindAFrameOfAClientThatLeaves) {
  for (int i = 0; i < kSockets; ++i) {
    RawClient client(daemon_.socket_path());
    client.send(model::FrameType::kPing, "");
    give_to_daemon(client.fd(), "x");
  }
  expect_served(2);
}

TEST_F(LingeringDescriptors, Law06_BeforeTheDaemonAccepts) {
  for (int i = 0; i < kSockets; ++i) {
    const FdGuard fd = connect_raw(daemon_.socket_path());
    give_to_daemon(fd.get(), "x");
  }
  expect_served(3);
}

TEST_F(LingeringDescriptors, Law06_WithAnUrgentByte) {
  for (int i = 0; i < kSockets; ++i) {
    RawClient client(daemon_.socket_path());
    client.send(model::FrameType::kPing, "");
    give_to_daemon(client.fd(), "x", MSG_OOB);
    if (i % 2 == 0) client.receive();
  }
  expect_served(4);
}

}  // namespace quire::tests::lingering_descriptors_test
