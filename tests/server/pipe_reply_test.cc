// A verb that answers with a pipe: from the frame that carries it to the end of what it said.
#include "server/control/pipe_reply.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>

#include "client/frame_socket.h"
#include "client/reply_pipe.h"
#include "server/runtime/pipe_writer.h"
#include "tests/support/patience.h"

namespace quire::server::pipe_reply_test {
namespace {

using client::Deadline;
using client::Frame;
using model::Errc;
using model::FdGuard;
using model::FrameType;

class SilentOwner final : public ConnectionOwner {
 public:
  void on_input(Connection&) override {}
  model::Result<void> on_frame(Connection&, const model::FrameHeader&, std::string_view) override {
    return {};
  }
  void on_end(Connection&, const model::Error&) override {}
};

class PipeReplyTest : public testing::Test {
 protected:
  PipeReplyTest() : loop_(std::move(EventLoop::create()).value()) {
    std::signal(SIGPIPE, SIG_IGN);  // as quired does, and a helper's thread for itself
    int pair[2];
    QUIRE_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    socket_.emplace(FdGuard(pair[0]));
    connection_ = std::move(Connection::create(FdGuard(pair[1]), &loop_, &clock_, &owner_)).value();
  }
  VerbCall call() { return {*connection_, FrameType::kStatus, 7, {}}; }
  // Sends the reply; what is returned writes what its reader has.
  PipeWriter answer() {
    PipeReply reply = std::move(PipeReply::create()).value();
    PipeWriter writer(reply.take_writer());
    reply.send(call(), model::struct_bytes(model::ReplyStatus{}));
    return writer;
  }
  Frame receive() {
    return *std::move(socket_->receive(Deadline::after_ms(tests::kPatienceMs))).value();
  }
  static std::string read_to_end(const FdGuard& fd) {
    std::string text(1 << 16, '\0');
    size_t done = 0;
    for (ssize_t got; (got = ::read(fd.get(), text.data() + done, text.size() - done)) > 0;) {
      done += static_cast<size_t>(got);
    }
    text.resize(done);
    return text;
  }

  EventLoop loop_;
  model::SystemClock clock_;
  SilentOwner owner_;
  std::optional<client::FrameSocket> socket_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(PipeReplyTest, ClientReadsWhatIsWrittenUntilItsEnd) {
  PipeWriter writer = answer();
  Frame frame = receive();
  EXPECT_EQ(frame.header.sequence, 7u);
  const auto pipe = client::take_pipe(frame);
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  writer.put("one ");
  EXPECT_TRUE(writer.flush());
  writer.put("two");
  EXPECT_TRUE(writer.flush());
  writer.close();
  EXPECT_EQ(read_to_end(*pipe), "one two");
}

TEST_F(PipeReplyTest, ReaderThatDoesNotReadNeverBlocksTheWriter) {
  PipeWriter writer = answer();
  Frame frame = receive();
  const auto pipe = client::take_pipe(frame);
  ASSERT_TRUE(pipe.ok());
  // Its own end may wait as it likes.
  EXPECT_EQ(::fcntl(pipe->get(), F_GETFL) & O_NONBLOCK, 0);
  const std::string message(8 << 20, 'x');  // more than any pipe has room for
  writer.put(message);
  EXPECT_FALSE(writer.flush());
  EXPECT_FALSE(writer.flush());
  EXPECT_FALSE(writer.reader_gone());
  size_t read = 0;
  std::string part(1 << 20, '\0');
  while (!writer.flush() || read < message.size()) {
    const ssize_t got = ::read(pipe->get(), part.data(), part.size());
    ASSERT_GT(got, 0);
    read += static_cast<size_t>(got);
  }
  EXPECT_EQ(read, message.size()) << "what waited in the writer came out whole";
}

TEST_F(PipeReplyTest, ReaderThatGoesIsNoticedWithoutAWrite) {
  PipeWriter writer = answer();
  {
    Frame frame = receive();
    EXPECT_FALSE(writer.reader_gone());
  }
  EXPECT_TRUE(writer.reader_gone()) << "the daemon kept no read end";
}

TEST_F(PipeReplyTest, ReaderThatGoesWhileMuchWaitsEndsTheWrite) {
  PipeWriter writer = answer();
  {
    Frame frame = receive();
    writer.put(std::string(8 << 20, 'x'));
    EXPECT_FALSE(writer.flush());
  }
  EXPECT_TRUE(writer.flush()) << "nothing is left to be written";
  for (int i = 0; i < 2; ++i) {
    writer.put("for nobody");
    EXPECT_TRUE(writer.flush());
  }
  EXPECT_TRUE(writer.reader_gone());
}

TEST_F(PipeReplyTest, ReplyWithoutADescriptorIsNone) {
  call().reply(model::struct_bytes(model::ReplyStatus{}));
  Frame frame = receive();
  EXPECT_EQ(client::take_pipe(frame).code(), Errc::kMalformedFrame);
  frame.descriptors_lost = true;
  EXPECT_EQ(client::take_pipe(frame).code(), Errc::kResourceExhausted);
}

}  // namespace
}  // namespace quire::server::pipe_reply_test
