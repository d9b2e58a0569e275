#include "client/session_channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "client/client_staging.h"
#include "tests/client/client_fixture.h"
#include "tests/client/fake_session.h"
#include "tests/support/patience.h"

namespace quire::client::session_channel_test {
namespace {

using model::Errc;
using model::FdGuard;
using model::Submission;
using model::Verb;

model::OpenSessionReply numbers(uint32_t ring_entries) {
  model::OpenSessionReply reply;
  reply.session = 1;
  reply.ring_entries = ring_entries;
  reply.max_units = 64;
  reply.max_load_pages = 64;
  reply.control_bytes = model::control_geometry(ring_entries, 64).bytes;
  reply.reply_bytes = model::reply_geometry(ring_entries, 64).bytes;
  return reply;
}

std::vector<FdGuard> duplicates(const FakeSession& session) {
  std::vector<FdGuard> fds;
  for (const int fd : session.descriptors()) fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return fds;
}

class SessionChannelTest : public testing::Test {
 protected:
  SessionChannelTest()
      : peer_(numbers(8), test_layout(), store_, nullptr),
        channel_(SessionChannel::open(numbers(8), duplicates(peer_)).value()) {}

  void put(uint64_t user_data) {
    Submission submission{};
    submission.user_data = user_data;
    ASSERT_TRUE(channel_.put(submission).ok());
  }
  bool doorbell_rang() {
    pollfd entry{peer_.doorbell_fd(), POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
  }

  FakeStore store_;
  FakeSession peer_;
  SessionChannel channel_;
};

// A session that ended, and one that comes later.
TEST_F(SessionChannelTest, RestLeavesNothingOfTheSession) {
  for (uint64_t i = 0; i < 5; ++i) put(i);
  channel_.flush();
  channel_.rest();
  FakeSession next(numbers(8), test_layout(), store_, nullptr);
  EXPECT_EQ(channel_.in_flight(), 0u);
  for (uint64_t i = 0; i < 8; ++i) put(i);
  EXPECT_EQ(channel_.put({}).code(), Errc::kBusy);
}

TEST_F(SessionChannelTest, ReopensTheLaneThatTheReplyNames) {
  model::OpenSessionReply reply = numbers(8);
  reply.lane_state = static_cast<uint32_t>(model::SessionLane::kKnownWhole);
  channel_.rest();
  const auto again = SessionChannel::reopen(std::move(channel_), reply, {});
  ASSERT_TRUE(again.ok()) << again.error().text;
  EXPECT_EQ(again->shape().ring_entries, 8u);
}

TEST_F(SessionChannelTest, ReopensNoOtherLane) {
  for (const int which : {0, 1}) {
    model::OpenSessionReply reply = numbers(which == 0 ? 8 : 16);
    reply.lane = which == 0 ? 7 : 0;
    reply.lane_state = static_cast<uint32_t>(model::SessionLane::kKnownWhole);
    SessionChannel kept = SessionChannel::open(numbers(8), duplicates(peer_)).value();
    EXPECT_EQ(SessionChannel::reopen(std::move(kept), reply, {}).code(), Errc::kMalformedFrame);
  }
}

TEST_F(SessionChannelTest, ReopensNotWithoutTheProgressThatIsAnnounced) {
  model::OpenSessionReply reply = numbers(8);
  reply.lane_state = static_cast<uint32_t>(model::SessionLane::kKnown);
  EXPECT_EQ(SessionChannel::reopen(std::move(channel_), reply, {}).code(), Errc::kMalformedFrame);
}

TEST_F(SessionChannelTest, AStagingAreaIsAllocatedWhenItIsAdopted) {
  FakeStaging memory(1 << 16);
  const auto area = StagingArea::adopt(1, 1 << 16, memory.fd);
  ASSERT_TRUE(area.ok()) << area.error().text;
  struct stat status {};
  ASSERT_EQ(::fstat(memory.fd.get(), &status), 0);
  EXPECT_GE(static_cast<uint64_t>(status.st_blocks) * 512, 1u << 16);
}

TEST_F(SessionChannelTest, AStagingAreaThatIsTooSmallIsRefused) {
  FakeStaging memory(1 << 12);
  EXPECT_EQ(StagingArea::adopt(1, 1 << 16, memory.fd).code(), Errc::kCorrupt);
}

TEST_F(SessionChannelTest, NothingIsVisibleBeforeFlush) {
  put(1);
  peer_.serve();
  EXPECT_FALSE(channel_.has_completion());
  channel_.flush();
  peer_.serve();
  EXPECT_EQ((**channel_.take()).user_data, 1u);
}

TEST_F(SessionChannelTest, RingsTheDoorbellOnlyForASleeper) {
  put(1);
  channel_.flush();
  EXPECT_FALSE(doorbell_rang());
  peer_.serve();
  ASSERT_TRUE(peer_.prepare_sleep());
  put(2);
  channel_.flush();
  EXPECT_TRUE(doorbell_rang());
}

TEST_F(SessionChannelTest, InFlightNeverExceedsTheRing) {
  for (uint64_t i = 0; i < 8; ++i) put(i);
  channel_.flush();
  EXPECT_EQ(channel_.put({}).code(), Errc::kBusy);
  peer_.serve();
  // The daemon took all eight, but their completions are still in the ring.
  EXPECT_EQ(channel_.put({}).code(), Errc::kBusy);
  ASSERT_TRUE(channel_.take()->has_value());
  EXPECT_TRUE(channel_.put({}).ok());
}

TEST_F(SessionChannelTest, SleepReturnsAtOnceWhenACompletionIsThere) {
  put(1);
  channel_.flush();
  peer_.serve();
  const auto woken = channel_.sleep(-1, Deadline::after_ms(tests::kPatienceMs));
  ASSERT_TRUE(woken.ok());
  EXPECT_FALSE(woken->news);
}

TEST_F(SessionChannelTest, SleepEndsAtItsDeadline) {
  put(1);
  channel_.flush();
  ASSERT_TRUE(channel_.sleep(-1, Deadline::after_ms(5)).ok());
  EXPECT_FALSE(channel_.has_completion());
}

TEST_F(SessionChannelTest, SleepReportsNews) {
  const FdGuard news(::eventfd(1, EFD_CLOEXEC));
  EXPECT_TRUE(channel_.sleep(news.get(), Deadline::after_ms(tests::kPatienceMs))->news);
}

TEST_F(SessionChannelTest, SleepEndsWithTheSession) {
  peer_.end();
  ASSERT_TRUE(channel_.sleep(-1, Deadline::after_ms(tests::kPatienceMs)).ok());
  EXPECT_TRUE(channel_.closed());
}

// Each side sleeps whenever it finds nothing; a lost wake-up would hang until the deadline.
TEST_F(SessionChannelTest, NoWakeUpIsLost) {
  std::atomic<bool> stop{false};
  std::thread daemon([&] {
    while (!stop) {
      peer_.serve();
      pollfd entry{peer_.doorbell_fd(), POLLIN, 0};
      if (peer_.prepare_sleep()) ::poll(&entry, 1, 1000);
      peer_.woke();
    }
  });
  const Deadline deadline = Deadline::after_ms(tests::kPatienceMs);
  for (uint64_t i = 0; i < 5000; ++i) {
    put(i);
    channel_.flush();
    while (!channel_.has_completion() && !deadline.passed()) {
      ASSERT_TRUE(channel_.sleep(-1, deadline).ok());
    }
    const auto completion = channel_.take();
    ASSERT_TRUE(completion.ok() && completion->has_value());
    ASSERT_EQ((*completion)->user_data, i);
    channel_.publish_taken();
  }
  stop = true;
  put(1);
  channel_.flush();
  daemon.join();
}

TEST_F(SessionChannelTest, ImpossibleIndexIsAnError) {
  put(1);
  channel_.flush();
  peer_.scribble_completion_index();
  EXPECT_TRUE(channel_.has_completion());
  EXPECT_EQ(channel_.take().code(), Errc::kMalformedFrame);
}

TEST_F(SessionChannelTest, ACompletionThatNobodyAskedForIsAnError) {
  SessionChannel second = SessionChannel::open(numbers(8), duplicates(peer_)).value();
  put(1);
  channel_.flush();
  peer_.serve();
  EXPECT_EQ(second.take().code(), Errc::kMalformedFrame);
}

TEST_F(SessionChannelTest, RefusesNumbersOutOfRange) {
  model::OpenSessionReply reply = numbers(8);
  reply.ring_entries = 12;
  EXPECT_EQ(SessionChannel::open(reply, duplicates(peer_)).code(), Errc::kMalformedFrame);
  reply = numbers(8);
  reply.control_bytes += 4096;
  EXPECT_EQ(SessionChannel::open(reply, duplicates(peer_)).code(), Errc::kMalformedFrame);
}

TEST_F(SessionChannelTest, RefusesMissingDescriptorsAndShortMemory) {
  std::vector<FdGuard> fds = duplicates(peer_);
  fds.pop_back();
  EXPECT_EQ(SessionChannel::open(numbers(8), std::move(fds)).code(), Errc::kMalformedFrame);
  fds = duplicates(peer_);
  fds[0] = FdGuard(::memfd_create("short", MFD_CLOEXEC));
  EXPECT_EQ(SessionChannel::open(numbers(8), std::move(fds)).code(), Errc::kCorrupt);
}

}  // namespace
}  // namespace quire::client::session_channel_test
