#include "client/frame_socket.h"
#include "tests/support/patience.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

namespace quire::client::frame_socket_test {
namespace {

using model::Errc;
using model::FdGuard;
using model::FrameHeader;
using model::FrameType;

class FrameSocketTest : public testing::Test {
 protected:
  FrameSocketTest() : FrameSocketTest(make_pair()) {}

  std::string frame_bytes(FrameHeader header, std::string_view payload) {
    header.payload_bytes = static_cast<uint32_t>(payload.size());
    return std::string(model::struct_bytes(header)).append(payload);
  }
  void write_peer(std::string_view bytes) {
    ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void write_with_descriptors(std::string_view bytes, size_t count) {
    std::vector<int> fds(count, null_.get());
    std::vector<char> control(CMSG_SPACE(sizeof(int) * count));
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * count);
    ASSERT_EQ(::sendmsg(peer_.get(), &message, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }

  FdGuard peer_;
  FrameSocket socket_;
  FdGuard null_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};

 private:
  using Pair = std::pair<FdGuard, FdGuard>;
  explicit FrameSocketTest(Pair pair)
      : peer_(std::move(pair.first)), socket_(std::move(pair.second)) {}
  static Pair make_pair() {
    int fds[2];
    QUIRE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    return {FdGuard(fds[0]), FdGuard(fds[1])};
  }
};

size_t open_descriptors() {
  size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
  return count;
}

TEST_F(FrameSocketTest, ShortReadsLoseNothing) {
  const std::string bytes = frame_bytes({.type = 8, .sequence = 5}, "hello");
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    write_peer(bytes.substr(i, 1));
    const auto none = socket_.receive(Deadline::now());
    ASSERT_TRUE(none.ok());
    ASSERT_FALSE(none->has_value());
  }
  write_peer(bytes.substr(bytes.size() - 1));
  auto frame = socket_.receive(Deadline::now());
  ASSERT_TRUE(frame.ok() && frame->has_value());
  EXPECT_EQ((*frame)->payload, "hello");
  EXPECT_EQ((*frame)->header.sequence, 5u);
}

TEST_F(FrameSocketTest, TwoFramesInOneWriteComeOutOneByOne) {
  write_peer(frame_bytes({.sequence = 1}, "a") + frame_bytes({.sequence = 2}, ""));
  EXPECT_EQ((**socket_.receive(Deadline::now())).payload, "a");
  EXPECT_EQ((**socket_.receive(Deadline::now())).header.sequence, 2u);
  EXPECT_FALSE(socket_.receive(Deadline::now())->has_value());
}

TEST_F(FrameSocketTest, DescriptorsComeWithTheirFrameAndCloseWithIt) {
  const size_t before = open_descriptors();
  write_with_descriptors(frame_bytes({.sequence = 1}, "first"), 3);
  write_with_descriptors(frame_bytes({.sequence = 2}, ""), 2);
  {
    auto first = socket_.receive(Deadline::now());
    auto second = socket_.receive(Deadline::now());
    ASSERT_EQ((*first)->descriptors.size(), 3u);
    ASSERT_EQ((*second)->descriptors.size(), 2u);
    EXPECT_EQ(::fcntl((*first)->descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(FrameSocketTest, MoreDescriptorsThanAFrameMayCarryAreLostAndSaidSo) {
  const size_t before = open_descriptors();
  write_with_descriptors(frame_bytes({.sequence = 1}, ""), 40);
  {
    auto frame = socket_.receive(Deadline::now());
    ASSERT_TRUE(frame.ok() && frame->has_value());
    EXPECT_TRUE((*frame)->descriptors_lost);
    EXPECT_LE((*frame)->descriptors.size(), model::kMaxDescriptorsPerFrame);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(FrameSocketTest, DescriptorsAtEveryPieceOfAFrameAreRefusedAndClosed) {
  const size_t before = open_descriptors();
  const std::string bytes = frame_bytes({.sequence = 1}, "payload");
  write_with_descriptors(bytes.substr(0, 4), 12);
  write_with_descriptors(bytes.substr(4), 12);
  {
    FrameSocket dying = std::move(socket_);
    EXPECT_EQ(dying.receive(Deadline::now()).code(), Errc::kUnexpectedDescriptors);
  }
  EXPECT_EQ(open_descriptors(), before - 1);  // the socket's own
}

TEST_F(FrameSocketTest, RefusesWhatIsNoFrame) {
  write_peer("HTTP/1.1 400 Bad Request\r\n");
  EXPECT_EQ(socket_.receive(Deadline::now()).code(), Errc::kMalformedFrame);
}

TEST_F(FrameSocketTest, RefusesAnotherVersion) {
  write_peer(frame_bytes({.version = 9}, ""));
  EXPECT_EQ(socket_.receive(Deadline::now()).code(), Errc::kUnsupportedVersion);
}

TEST_F(FrameSocketTest, RefusesAnAnnouncedLengthAboveTheBound) {
  FrameHeader header;
  header.payload_bytes = model::kMaxFrameBytes + 1;
  write_peer(model::struct_bytes(header));
  EXPECT_EQ(socket_.receive(Deadline::now()).code(), Errc::kFrameTooLarge);
}

TEST_F(FrameSocketTest, RefusesToSendAboveTheBoundAndStaysUsable) {
  const std::string large(model::kMaxFrameBytes + 1, 'x');
  const auto sent =
      socket_.send(FrameType::kPing, 1, large, Deadline::after_ms(tests::kPatienceMs));
  EXPECT_EQ(sent.code(), Errc::kFrameTooLarge);
  EXPECT_TRUE(socket_.send(FrameType::kPing, 1, "", Deadline::after_ms(tests::kPatienceMs)).ok());
}

TEST_F(FrameSocketTest, HangUpBetweenAndInsideFramesIsUnavailable) {
  write_peer(frame_bytes({.sequence = 1}, "cut").substr(0, 17));
  peer_.reset();
  EXPECT_EQ(socket_.receive(Deadline::after_ms(tests::kPatienceMs)).code(), Errc::kUnavailable);
  EXPECT_EQ(socket_.receive(Deadline::after_ms(tests::kPatienceMs)).code(), Errc::kUnavailable);
  EXPECT_EQ(socket_.send(FrameType::kPing, 1, "", Deadline::now()).code(), Errc::kUnavailable);
}

TEST_F(FrameSocketTest, APeerThatDoesNotReadEndsInTheDeadline) {
  const std::string large(model::kMaxFrameBytes, 'x');
  auto sent = model::Result<void>();
  for (int i = 0; i < 100 && sent.ok(); ++i) {
    sent = socket_.send(FrameType::kPing, 1, large, Deadline::after_ms(20));
  }
  EXPECT_EQ(sent.code(), Errc::kDeadlineExceeded);
}

TEST_F(FrameSocketTest, AFrameLargerThanTheSocketBufferArrivesWhole) {
  FrameSocket other{std::move(peer_)};
  const std::string large(model::kMaxFrameBytes, 'y');
  std::thread sender([&] {
    EXPECT_TRUE(
        other.send(FrameType::kStatus, 3, large, Deadline::after_ms(tests::kPatienceMs)).ok());
  });
  auto frame = socket_.receive(Deadline::after_ms(tests::kPatienceMs));
  sender.join();
  ASSERT_TRUE(frame.ok() && frame->has_value());
  EXPECT_EQ((*frame)->payload, large);
}

TEST(FrameSocketConnect, NobodyThereIsUnavailable) {
  EXPECT_EQ(FrameSocket::connect("/tmp/quire_no_such_socket", Deadline::now()).code(),
            Errc::kUnavailable);
}

TEST(FrameSocketConnect, RefusesAPathTooLongForASocket) {
  EXPECT_EQ(FrameSocket::connect(std::string(108, 'x'), Deadline::now()).code(),
            Errc::kInvalidArgument);
}

}  // namespace
}  // namespace quire::client::frame_socket_test
