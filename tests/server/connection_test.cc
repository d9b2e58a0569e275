#include "server/sessions/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>

#include "tests/support/raw_client.h"

namespace quire::server::connection_test {
namespace {

using model::Errc;
using model::FdGuard;

class CountingOwner final : public ConnectionOwner {
 public:
  void on_input(Connection&) override { ++inputs; }
  model::Result<void> on_frame(Connection&, const model::FrameHeader&, std::string_view) override {
    ++frames;
    return {};
  }
  void on_end(Connection&, const model::Error& reason) override { ended = reason; }

  int inputs = 0;
  int frames = 0;
  std::optional<model::Error> ended;
};

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() : loop_(std::move(EventLoop::create()).value()) {
    int pair[2];
    QUIRE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    peer_ = FdGuard(pair[0]);
    auto made = Connection::create(FdGuard(pair[1]), &loop_, &clock_, &owner_);
    QUIRE_CHECK(made.ok());
    connection_ = std::move(made).value();
  }

  void send(std::string_view bytes) {
    QUIRE_CHECK(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
  }
  void send_descriptor(std::string_view bytes, int flags = 0) {
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
    const int fd = STDERR_FILENO;
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    QUIRE_CHECK(::sendmsg(peer_.get(), &message, flags | MSG_NOSIGNAL) > 0);
  }
  static std::string pings(int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += tests::frame_bytes(8, model::kProtocolVersion, "");
    return bytes;
  }

  EventLoop loop_;
  model::SystemClock clock_;
  CountingOwner owner_;
  FdGuard peer_;
  std::unique_ptr<Connection> connection_;
};

ptrdiff_t open_files() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

TEST_F(ConnectionTest, TakesOneFrameATurn) {
  send(pings(3));
  EXPECT_TRUE(connection_->serve());
  EXPECT_EQ(owner_.frames, 1);
  EXPECT_TRUE(connection_->serve());
  EXPECT_FALSE(connection_->serve()) << "nothing more is here";
  EXPECT_EQ(owner_.frames, 3);
  EXPECT_FALSE(connection_->serve());
  EXPECT_EQ(owner_.frames, 3);
}

TEST_F(ConnectionTest, WhatIsLeftInTheSocketIsToldAgain) {
  send(pings(8192));  // 128 KiB, twice what a turn reads
  loop_.turn(0);
  EXPECT_EQ(owner_.inputs, 1);
  while (connection_->serve()) {
  }
  EXPECT_EQ(owner_.frames, 4096);
  loop_.turn(0);
  EXPECT_EQ(owner_.inputs, 2);
  while (connection_->serve()) {
  }
  EXPECT_EQ(owner_.frames, 8192);
}

TEST_F(ConnectionTest, Law10_WhoDoesNotReadHisRepliesIsLetGoAtTheBound) {
  const std::string reply(64 << 10, 'r');
  const auto send_reply = [&] {
    connection_->send(model::FrameType::kStatus, /*reply=*/true, 0, reply);
  };
  // The socket holds some besides; it takes no more than this.
  int sent = 0;
  for (; !owner_.ended && sent < 256; ++sent) send_reply();
  ASSERT_TRUE(owner_.ended);
  EXPECT_EQ(owner_.ended->code, Errc::kBusy);
  EXPECT_GT(sent * reply.size(), kMaxOutboxBytes) << "so much may wait for a slow reader";
}

TEST_F(ConnectionTest, SuspendedOneTakesNothing) {
  connection_->suspend();
  send(pings(1));
  EXPECT_FALSE(connection_->serve());
  EXPECT_EQ(owner_.frames, 0);
  connection_->resume();
  EXPECT_FALSE(connection_->serve());
  EXPECT_EQ(owner_.frames, 1);
}

TEST_F(ConnectionTest, HangUpEndsItBeforeWhatIsUnread) {
  send(pings(2));
  peer_.reset();
  loop_.turn(0);
  ASSERT_TRUE(owner_.ended);
  EXPECT_EQ(owner_.ended->code, Errc::kOk);
  EXPECT_EQ(owner_.frames, 0);
  EXPECT_FALSE(connection_->take_socket().may_hold_descriptors) << "only bytes were unread";
}

TEST_F(ConnectionTest, Law06_WhatASuspendedPeerSendsDoesNotWakeTheCore) {
  connection_->suspend();
  send(pings(1));
  EXPECT_EQ(loop_.turn(0), 1) << "once";
  EXPECT_EQ(loop_.turn(0), 0);
  send(pings(1));
  ::shutdown(peer_.get(), SHUT_WR);
  EXPECT_EQ(loop_.turn(0), 0);
  EXPECT_EQ(owner_.inputs, 0);
  connection_->resume();
  EXPECT_EQ(owner_.inputs, 1) << "whatever came meanwhile has its turn";
  EXPECT_EQ(loop_.turn(0), 1) << "it was there all the time";
  EXPECT_EQ(owner_.inputs, 2);
  EXPECT_TRUE(connection_->serve());
  EXPECT_EQ(owner_.frames, 1);
}

TEST_F(ConnectionTest, SuspendedPeerThatHangsUpIsEnded) {
  connection_->suspend();
  send(pings(1));
  loop_.turn(0);
  peer_.reset();
  loop_.turn(0);
  EXPECT_TRUE(owner_.ended);
}

TEST_F(ConnectionTest, Law06_PeerHasSoManyTurnsInAWhile) {
  int64_t now_ns = 0;
  for (int pace = 1; pace <= 3; ++pace) {
    now_ns += Connection::kPaceNs;
    for (uint32_t i = 0; i < Connection::kTurnsPerPace; ++i) {
      EXPECT_TRUE(connection_->may_take_turn(now_ns));
    }
    EXPECT_FALSE(connection_->may_take_turn(now_ns + Connection::kPaceNs - 1));
    EXPECT_FALSE(connection_->pace_is_over(now_ns + Connection::kPaceNs - 1));
    EXPECT_TRUE(connection_->pace_is_over(now_ns + Connection::kPaceNs));
  }
}

TEST_F(ConnectionTest, DescriptorsStayInTheSocket) {
  const ptrdiff_t before = open_files();
  send(pings(1));
  send_descriptor(pings(1));
  connection_->serve();
  ASSERT_TRUE(owner_.ended);
  EXPECT_EQ(owner_.ended->code, Errc::kUnexpectedDescriptors);
  EXPECT_EQ(open_files(), before) << "none was received";
  EXPECT_TRUE(connection_->take_socket().may_hold_descriptors);
}

TEST_F(ConnectionTest, UrgentDescriptorsAreFoundBehindOtherBytes) {
  send(pings(1));
  send_descriptor("x", MSG_OOB);
  EXPECT_FALSE(connection_->serve());
  EXPECT_EQ(owner_.frames, 1);
  EXPECT_FALSE(owner_.ended);
  connection_->serve();
  ASSERT_TRUE(owner_.ended);
  EXPECT_EQ(owner_.ended->code, Errc::kUnexpectedDescriptors);
  EXPECT_TRUE(connection_->take_socket().may_hold_descriptors);
}

TEST_F(ConnectionTest, DescriptorsOfOneThatHungUpAreNoticed) {
  send(pings(1));
  send_descriptor("x", MSG_OOB);
  peer_.reset();
  loop_.turn(0);
  ASSERT_TRUE(owner_.ended);
  EXPECT_TRUE(connection_->take_socket().may_hold_descriptors);
}

}  // namespace
}  // namespace quire::server::connection_test
