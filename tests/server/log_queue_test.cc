#include "server/runtime/log_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "model/fd_guard.h"
#include "server/runtime/log_limiter.h"
#include "tests/support/patience.h"

namespace quire::server::log_queue_test {
namespace {

using model::FdGuard;
using tests::kPatienceMs;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    QUIRE_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end = FdGuard(ends[0]);
    write_end = FdGuard(ends[1]);
  }
  // Writes until nothing more goes in; its blocking mode is as before.
  void fill() {
    const int flags = ::fcntl(write_end.get(), F_GETFL);
    ::fcntl(write_end.get(), F_SETFL, flags | O_NONBLOCK);
    const std::string bytes(4096, '.');
    while (::write(write_end.get(), bytes.data(), bytes.size()) > 0) {
    }
    ::fcntl(write_end.get(), F_SETFL, flags);
  }
  std::string read_some() {
    std::string bytes(1 << 16, '\0');
    const ssize_t got = ::read(read_end.get(), bytes.data(), bytes.size());
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }

  FdGuard read_end;
  FdGuard write_end;
};

TEST(LogQueue, LinesArriveInOrder) {
  Pipe pipe;
  LogQueue queue(pipe.write_end.get());
  EXPECT_TRUE(queue.push("one\n"));
  EXPECT_TRUE(queue.push("two\n"));
  EXPECT_TRUE(queue.close(kPatienceMs));
  EXPECT_EQ(pipe.read_some(), "one\ntwo\n");
  EXPECT_EQ(queue.dropped(), 0u);
  EXPECT_FALSE(queue.push("late\n"));
}

// Would block for ever were it the caller who writes.
TEST(LogQueue, FullPipeDropsAndCountsAndNeitherPushNorCloseHangs) {
  Pipe pipe;
  pipe.fill();
  LogQueue queue(pipe.write_end.get());
  uint64_t refused = 0;
  for (size_t i = 0; i < LogQueue::kMaxLines + 100; ++i) refused += queue.push("line\n") ? 0 : 1;
  EXPECT_EQ(refused, 100u);
  EXPECT_EQ(queue.dropped(), 100u);
  EXPECT_TRUE(queue.close(kPatienceMs)) << "what cannot be written is given up";
  EXPECT_EQ(queue.dropped(), LogQueue::kMaxLines + 100);
}

TEST(LogQueue, ReaderThatComesBackGetsWhatWaited) {
  Pipe pipe;
  pipe.fill();
  LogQueue queue(pipe.write_end.get());
  EXPECT_TRUE(queue.push("kept\n"));
  std::string seen;
  while (seen.find("kept\n") == std::string::npos) seen = pipe.read_some();
  EXPECT_TRUE(queue.close(kPatienceMs));
  EXPECT_EQ(queue.dropped(), 0u);
}

TEST(LogQueue, ReaderThatIsGoneCountsAsDropped) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.read_end.reset();
  LogQueue queue(pipe.write_end.get());
  EXPECT_TRUE(queue.push("nobody reads this\n"));
  EXPECT_TRUE(queue.close(kPatienceMs));
  EXPECT_EQ(queue.dropped(), 1u);
}

TEST(LogQueue, LongLineIsCutAndStaysALine) {
  Pipe pipe;
  LogQueue queue(pipe.write_end.get());
  EXPECT_TRUE(queue.push(std::string(10'000, 'x') + "\n"));
  EXPECT_TRUE(queue.close(kPatienceMs));
  const std::string line = pipe.read_some();
  EXPECT_EQ(line.size(), LogQueue::kMaxLineBytes);
  EXPECT_TRUE(line.ends_with("x...\n"));
}

TEST(LogLimiter, AKindHasItsLinesPerWindowAndTheRestIsCounted) {
  LogLimiter limiter;
  for (uint32_t i = 0; i < LogLimiter::kLinesPerWindow; ++i) {
    EXPECT_TRUE(limiter.admit(LogKind::kClientEnded, 5).admitted);
  }
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(limiter.admit(LogKind::kClientEnded, 6).admitted);
  EXPECT_TRUE(limiter.admit(LogKind::kSessionFault, 6).admitted) << "each kind by itself";
  EXPECT_EQ(limiter.left_out(), 7u);

  const auto next = limiter.admit(LogKind::kClientEnded, 5 + LogLimiter::kWindowNs);
  EXPECT_TRUE(next.admitted);
  EXPECT_EQ(next.left_out, 7u) << "told with the first line of the next window";
  EXPECT_EQ(limiter.admit(LogKind::kClientEnded, 5 + LogLimiter::kWindowNs).left_out, 0u);
}

TEST(LogLimiter, ChangesOfAdministratorsHaveABoundThatRefusedAttemptsDoNotReach) {
  LogLimiter limiter;
  for (uint32_t i = 0; i < LogLimiter::kChangesPerWindow; ++i) {
    EXPECT_EQ(limiter.admit(LogKind::kAuditDenied, 5).admitted, i < LogLimiter::kLinesPerWindow);
    EXPECT_TRUE(limiter.admit(LogKind::kAuditChange, 5).admitted) << i;
  }
  EXPECT_FALSE(limiter.admit(LogKind::kAuditChange, 6).admitted);
}

}  // namespace
}  // namespace quire::server::log_queue_test
