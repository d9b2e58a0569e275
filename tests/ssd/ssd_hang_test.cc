// A device that answers late or never (laws 5, 9, 15).
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <set>

#include "tests/ssd/ssd_faults.h"
#include "tests/ssd/stepped_ssd.h"
#include "tests/support/patience.h"

namespace quire::tests::ssd_hang_test {

using model::Errc;
using tiering::TierMode;

namespace {

constexpr uint32_t kTokens = 400;  // 50 spans: at least four transfers
constexpr uint32_t kBlocks = kTokens / 8;

constexpr uint32_t kHangMs = 400;
constexpr uint32_t kForeverMs = 0xffffffff;  // the longest there is

bool whole(const Hit& hit) {
  return hit.blocks == kBlocks && hit.checkpoint && hit.code == Errc::kOk && hit.wrong.empty();
}

struct PendingLoad {
  std::unique_ptr<client::Session> session;
  model::MatchResult match{};
  client::RequestId request = 0;

  PendingLoad(SsdRig& rig, client::Client& client, uint64_t context,
              const client::LoadOptions& options = {})
      : session(rig.session(client, context, kTokens)) {
    match = *session->match(kTokens + 1);
    request = *session->submit_load(match.lease, options);
    session->flush();
  }
  model::Completion wait() {
    std::array<model::Completion, 1> completion{};
    QUIRE_CHECK(session->wait(kPatienceMs).ok());
    QUIRE_CHECK(*session->poll_completions(completion) == 1);
    return completion[0];
  }
};

// Context 1 is on the SSD only, and the device answers no read.
class SilentSsd : public FaultySsd {
 public:
  SilentSsd() : client_(connect_lazily(daemon())) {
    rig().commit(*client_, 1, kTokens);
    QUIRE_CHECK(rig().settle());
    rig().empty_ram();
    add_fault({.kinds = kReads, .action = FaultAction::kDelay, .from_then_on = true});
  }
  client::Client& client() { return *client_; }
  // It answers at last, and nothing was lost.
  void expect_recovered() {
    clear_faults();
    release_held();
    EXPECT_EQ(audit(rig()), "");
    EXPECT_TRUE(whole(try_hit(rig(), *client_, 1, kTokens)));
  }

 private:
  std::unique_ptr<client::Client> client_;
};

std::set<int> open_sockets() {
  std::set<int> sockets;
  for (int fd = 0; fd < 1024; ++fd) {
    struct stat status = {};
    if (::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) sockets.insert(fd);
  }
  return sockets;
}

}  // namespace

TEST(SsdHang, Law15_DeadlineDeliversTheUsableHead) {
  MemorySsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.settle());
  rig.empty_ram();
  // The head is there however late the core looks again.
  const client::LoadOptions head{.block_count = 16, .include_checkpoint = false};
  EXPECT_EQ(try_hit(rig, *client, 1, kTokens, small_hybrid_layout(), head).blocks, 16u);
  ssd.add_fault({.kinds = kReads, .nth = 2, .action = FaultAction::kDelay, .from_then_on = true});
  {
    PendingLoad load(rig, *client, 1, {.deadline_ms = 500, .progress = true});
    EXPECT_EQ(load.match.exact_tokens, kTokens);
    const auto other = connect_lazily(ssd.daemon());
    EXPECT_TRUE(serves_ram(rig, *other, 50));                            // nobody else waits
    const auto from_device = load.session->loaded_so_far(load.request);  // a page a block
    const model::Completion completion = load.wait();
    EXPECT_EQ(static_cast<Errc>(completion.code), Errc::kDeadlineExceeded);
    const auto pages = load.session->take_pages(load.request, completion);
    ASSERT_TRUE(pages.ok());
    EXPECT_EQ(pages->limited_by, Errc::kDeadlineExceeded);
    EXPECT_GE(pages->block_count, std::max(16u, from_device.ok() ? *from_device : 0u));
    EXPECT_LT(pages->block_count, kBlocks);
    EXPECT_EQ(pages->checkpoint_count, 0u);
    EXPECT_EQ(judge_pages(*load.session, load.match, *pages), "");
  }
  // The device still owns memory: whoever is given RAM now is not given that.
  for (uint64_t context = 60; context < 64; ++context) rig.commit(*client, context, kTokens);
  ssd.clear_faults();
  ssd.release_held();
  EXPECT_EQ(audit(rig), "");
  for (uint64_t context = 60; context < 64; ++context) {
    EXPECT_TRUE(whole(try_hit(rig, *client, context, kTokens)));
  }
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  EXPECT_EQ(rig.status().loader.deadline_exceeded, 1u);
  EXPECT_EQ(rig.status().state, TierMode::kOk);
}

TEST(SsdHang, Law09_HungReadSwitchesTheTierOffUntilItAnswers) {
  SteppedSsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  rig.commit(*client, 2, kTokens);
  ASSERT_TRUE(ssd.settle());
  rig.empty_ram();
  ssd.add_fault({.kinds = kReads, .action = FaultAction::kDelay, .from_then_on = true});
  EXPECT_EQ(ssd.load_that_hangs(*client, 1, kTokens), Errc::kIoError);
  const SsdStatus status = rig.status();
  EXPECT_EQ(status.state, TierMode::kOff);
  EXPECT_NE(status.reason.find("has not come back"), std::string::npos);
  EXPECT_NE(status.action, "");
  EXPECT_GE(status.health.hangs, 1u);
  EXPECT_EQ(try_hit(rig, *client, 2, kTokens).announced_tokens, 0u);
  EXPECT_TRUE(serves_ram(rig, *client, 50));
  ssd.clear_faults();
  ssd.release_held();
  ASSERT_TRUE(ssd.comes_to(TierMode::kOk));
  ASSERT_TRUE(ssd.settle());
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  EXPECT_TRUE(whole(try_hit(rig, *client, 2, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

class SsdHangOf : public testing::TestWithParam<KindMask> {};

// The device takes what demotion gives it and never tells. RAM is served; when it answers at last,
// demotion goes on.
TEST_P(SsdHangOf, Law09_DemotionThatHangsSwitchesTheTierOff) {
  SteppedSsd ssd;
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  ssd.add_fault({.kinds = GetParam(), .action = FaultAction::kHold, .from_then_on = true});
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(ssd.comes([&](server::Daemon&) { return ssd.held_on_core() > 0; }));
  ssd.hang();
  ASSERT_TRUE(ssd.comes_to(TierMode::kOff));
  EXPECT_NE(rig.status().reason.find("has not come back"), std::string::npos);
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  EXPECT_TRUE(serves_ram(rig, *client, 50));
  ssd.clear_faults();
  ssd.release_held();
  ASSERT_TRUE(ssd.comes_to(TierMode::kOk));
  ASSERT_TRUE(ssd.settle());
  rig.empty_ram();
  EXPECT_TRUE(whole(try_hit(rig, *client, 1, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

INSTANTIATE_TEST_SUITE_P(Kinds, SsdHangOf, testing::Values(kWrites, kSyncs, kAllocates),
                         [](const auto& kind) {
                           return kind.param == kWrites  ? "Write"
                                  : kind.param == kSyncs ? "Sync"
                                                         : "Allocate";
                         });

// Each operation is answered in less than the limit, and the last of them are not asked for before
// it has passed.
TEST(SsdHang, WaitingForATurnIsNoHang) {
  constexpr std::chrono::minutes kLimit{2};
  SteppedSsd ssd([&](server::Options& options) {
    options.ssd_queue_depth = 4;
    options.ssd_hang_ms = std::chrono::milliseconds(kLimit).count();
  });
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(ssd.settle());
  rig.empty_ram();
  ssd.with_engine([](FaultyEngine& engine) { engine.hold_all(true); });
  PendingLoad load(rig, *client, 1, {.deadline_ms = kForeverMs});
  ASSERT_TRUE(ssd.wait_for_held(1));
  uint32_t answered = 0;
  for (; rig.status().loads > 0; ++answered) {
    ASSERT_LT(answered, 1000u);
    ASSERT_TRUE(ssd.stands_still());
    ssd.pass(kLimit / 8);
    ssd.with_engine([](FaultyEngine& engine) { engine.release_oldest(); });
  }
  EXPECT_GT(answered, 8u) << "over before a turn could have been waited for";
  EXPECT_EQ(static_cast<Errc>(load.wait().code), Errc::kOk);
  EXPECT_EQ(rig.status().health.hangs, 0u);
}

TEST(SsdHang, ClosingASessionCancelsItsLoad) {
  SilentSsd ssd;
  SsdRig& rig = ssd.rig();
  {
    PendingLoad load(rig, ssd.client(), 1);
    ASSERT_TRUE(ssd.wait_for_held(1));
    EXPECT_TRUE(load.session->close().ok());
  }
  EXPECT_TRUE(ssd.daemon().is_quiet());
  EXPECT_EQ(rig.status().loads, 0u);
  ssd.expect_recovered();
}

TEST(SsdHang, Law05_ClientThatDiesWhileItsLoadWaitsFreesAll) {
  SilentSsd ssd;
  SsdRig& rig = ssd.rig();
  const std::set<int> before = open_sockets();
  const auto victim = connect_lazily(ssd.daemon());
  PendingLoad load(rig, *victim, 1);
  ASSERT_TRUE(ssd.wait_for_held(1));
  for (const int fd : open_sockets()) {
    if (!before.contains(fd)) ::shutdown(fd, SHUT_RDWR);  // as for a process that died
  }
  EXPECT_TRUE(ssd.daemon().is_quiet());
  EXPECT_EQ(rig.status().loads, 0u);
  EXPECT_TRUE(serves_ram(rig, ssd.client(), 50));
  ssd.expect_recovered();
}

// What the device holds when the daemon is to stop keeps it no longer than a drain may take, and
// is never touched after it is gone.
TEST(SsdHang, LoadsAreFreedWhenTheTierComesToItsEnd) {
  MemorySsd ssd(kHangMs);
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 1, kTokens);
  ASSERT_TRUE(rig.settle());
  rig.empty_ram();
  ssd.add_fault({.kinds = kReads, .action = FaultAction::kHold, .from_then_on = true});
  EXPECT_EQ(try_hit(rig, *client, 1, kTokens).code, Errc::kIoError);
  ssd.clear_faults();
  ssd.release_held();
  ssd.daemon().options().ssd_hang_ms = kPatienceMs;
  ssd.daemon().restart();
  const auto later = connect_lazily(ssd.daemon());
  EXPECT_TRUE(whole(try_hit(rig, *later, 1, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

}  // namespace quire::tests::ssd_hang_test
