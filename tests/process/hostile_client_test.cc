// Laws 6 and 11: a hostile client hurts itself only. While it does its worst, a neighbour of the
// same uid, in the same segments, stores and finds every byte.
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/process/hostile_client.h"
#include "tests/support/small_layout.h"

namespace quire::tests::hostile_client_test {

using model::FdGuard;
using model::SessionDescriptor;

namespace {

constexpr uid_t kStranger = 65534;
constexpr int kRoundsPerSeed = 50;
constexpr uint64_t kSegmentBytes = 64ull << 20;

int be_hostile_until_told(const std::string& socket_path, uint64_t seed, Channel& channel) {
  HostileClient client(socket_path, seed);
  ChildChecks checks;
  for (int round = 0; !channel.readable(); ++round) {
    checks.expect(client.play_round(), "the session that was scribbled over is ended");
    if (round == 0) channel.send("r");
  }
  return checks.failures();
}

std::vector<FdGuard> segments_of(RawClient& client) {
  std::vector<FdGuard> descriptors;
  for (uint32_t id = 0; id < 16; ++id) {
    client.send(model::FrameType::kMapSegment,
                model::struct_bytes(model::MapSegmentRequest{id, 0}));
    client.receive(&descriptors);
  }
  return descriptors;
}

int attack_descriptors(const std::string& socket_path, bool foreign) {
  ChildChecks checks;
  auto own = client::Client::connect({.socket_path = socket_path});
  QUIRE_CHECK(own.ok());
  const auto stored = committed_session(**own, 99);  // its domain has a segment for certain
  RawClient client(socket_path);
  RawSession session = client.open_session(small_append_layout());
  const model::OpenSessionReply& reply = session.reply();
  check_cannot_write(session.fd(SessionDescriptor::kReply), reply.reply_bytes, foreign, checks);
  check_cannot_write(session.fd(SessionDescriptor::kProgress), model::kProgressBytes, foreign,
                     checks);
  const std::vector<FdGuard> segments = segments_of(client);
  checks.expect(!segments.empty(), "there is a segment to attack");
  for (const FdGuard& segment : segments) {
    check_cannot_write(segment.get(), kSegmentBytes, foreign, checks);
  }
  check_cannot_resize(session.fd(SessionDescriptor::kControl), reply.control_bytes, checks);
  check_cannot_resize(session.staging_fd(), session.staging_bytes(), checks);
  session.submit_noop(7);
  checks.expect(session.wait_completion().user_data == 7, "the session lives, nothing was done");
  checks.expect(hits_bit_exactly(*stored), "what it stored is there");
  return checks.failures();
}

int attack_as_stranger(const std::string& socket_path) {
  const bool changed =
      ::setgroups(0, nullptr) == 0 && ::setgid(kStranger) == 0 && ::setuid(kStranger) == 0;
  QUIRE_CHECK(changed);
  ::prctl(PR_SET_DUMPABLE, 1);  // or its own /proc/self/fd were closed to it
  return attack_descriptors(socket_path, true);
}

class HostileClientTest : public testing::TestWithParam<uint64_t> {};

}  // namespace

TEST_P(HostileClientTest, Law06Law11_NeighbourSeesNothingWrong) {
  DaemonProcess daemon({.flags = {"--default_deadline_ms=500", kNoGhosts}});
  const auto neighbour = daemon.connect("neighbour");
  const auto kept = committed_session(*neighbour, 1);
  const DaemonStatus before = daemon.status();
  TestProcess hostile = TestProcess::call([&](Channel& channel) {
    return be_hostile_until_told(daemon.socket_path(), GetParam(), channel);
  });
  ASSERT_EQ(hostile.channel().receive(), "r");
  for (uint64_t round = 0; round < kRoundsPerSeed; ++round) {
    const auto session = committed_session(*neighbour, 10 + round);
    ASSERT_TRUE(hits_bit_exactly(*session)) << "round " << round;
    ASSERT_TRUE(hits_bit_exactly(*kept)) << "round " << round;
  }
  hostile.channel().send(".");
  EXPECT_EQ(hostile.wait(), 0);
  EXPECT_GT(daemon.status().sessions_ended_by_fault, 0u);
  EXPECT_TRUE(daemon.eventually([&](const DaemonStatus& now) {
    return now.sessions == before.sessions && now.leases == 0 && now.fills == 0 &&
           now.bytes_in_use() == before.bytes_in_use() &&
           now.files_in_use() == before.files_in_use() && now.pages == now.group_pages;
  })) << "nothing of it is left";
}

INSTANTIATE_TEST_SUITE_P(Seeds, HostileClientTest, testing::Values(1, 2, 3, 4));

TEST(HostileDescriptors, Law06_NothingThatWasLentForReadingCanBeWritten) {
  DaemonProcess daemon;
  const auto neighbour = daemon.connect("neighbour");
  const auto session = committed_session(*neighbour, 1);
  TestProcess same_uid =
      TestProcess::call([&](Channel&) { return attack_descriptors(daemon.socket_path(), false); });
  EXPECT_EQ(same_uid.wait(), 0);
  EXPECT_TRUE(hits_bit_exactly(*session));
}

TEST(HostileDescriptors, Law13_AnotherUidCannotEvenOpenThem) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be another uid";
  DaemonProcess daemon({.ram_mib = 128});
  TestProcess stranger =
      TestProcess::call([&](Channel&) { return attack_as_stranger(daemon.socket_path()); });
  EXPECT_EQ(stranger.wait(), 0);
}

}  // namespace quire::tests::hostile_client_test
