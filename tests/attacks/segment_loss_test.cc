// What a user who asks for memory costs others: no more than it needs, of nobody but who has more
// than its share, and nothing while no memory can be made anew.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>

#include "tests/attacks/attack_field.h"
#include "tests/process/client_life.h"
#include "tests/support/patient_client.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::segment_loss_test {

using client::Client;
using model::FillKind;

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSegmentBytes = 64 * kMiB;
constexpr uint64_t kSpanBytes = 64 << 10;
constexpr uint64_t kSpansOfASegment = kSegmentBytes / kSpanBytes;
constexpr uint32_t kBlock = 4;  // tokens
constexpr uint32_t kBlocksOfAContext = 64;
constexpr uint32_t kContexts = 48;  // of three segments
constexpr uint32_t kRounds = 200;
constexpr uint64_t kStorm = 8;  // connections
constexpr uid_t kAskerUid = 20004;
constexpr uid_t kLeaverUid = 20005;

void limit_now(__rlimit_resource resource, rlim_t soft, pid_t pid = 0) {
  rlimit limit{};
  QUIRE_CHECK(::prlimit(pid, resource, nullptr, &limit) == 0);
  limit.rlim_cur = soft;
  QUIRE_CHECK(::prlimit(pid, resource, &limit, nullptr) == 0);
}

// How many of the spans could be committed.
uint32_t commit_spans(Client& client, uint64_t context, uint32_t blocks) {
  model::Layout layout = small_append_layout();
  layout.groups[0].page_bytes = kSpanBytes;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kSpanBytes}};
  const auto session = open_session(client, session_options(layout));
  QUIRE_CHECK(session->append_tokens(context_tokens(blocks * kBlock + 1, context)).ok());
  uint32_t committed = 0;
  for (uint32_t block = 1; block <= blocks; ++block) {
    committed += commit_object(*session, FillKind::kSpan, block * kBlock).ok();
  }
  return committed;
}

struct Holding {
  uint64_t pages = 0;
  uint64_t segments = 0;  // those taken away and not yet gone included
};

uint64_t number(const boost::json::value& row, const char* name) {
  return row.at(name).to_number<uint64_t>();
}

Holding holding_of(DaemonProcess& daemon, uid_t uid) {
  const boost::json::value status = boost::json::parse(daemon.status_json());
  for (const boost::json::value& row : status.at("domains").as_array()) {
    if (row.at("domain").as_string() != "uid:" + std::to_string(uid)) continue;
    return {number(row, "pages"),
            (number(row, "segment_bytes") + number(row, "retiring_bytes")) / kSegmentBytes};
  }
  return {};
}

std::string text_at(DaemonProcess& daemon, const char* pointer) {
  const boost::json::value status = boost::json::parse(daemon.status_json());
  return std::string(status.at_pointer(pointer).as_string());
}

// A user who commits so many spans of a new context for each byte it is sent, and sends one back.
TestProcess asker(const std::string& socket_path, uid_t uid) {
  return TestProcess::call([&](Channel& channel) {
    become(uid);
    const auto client = Client::connect(patient_client(socket_path, "asker"));
    QUIRE_CHECK(client.ok());
    channel.send("c");
    for (uint64_t context = 1000; channel.receive() == "a"; ++context) {
      channel.send(commit_spans(**client, context, 1) == 1 ? "1" : "0");
    }
    return 0;
  });
}

// What it became of one request for a span: "1" when it got it.
std::string ask(TestProcess& asker) {
  asker.channel().send("a");
  return asker.channel().receive();
}

// Five segments: one of a neighbour, one of a user who has left, with little in it that anybody
// could evict, and three of a user (this process) who fills them. And one more, who has nothing.
struct FullHouse {
  FullHouse()
      : daemon({.ram_mib = 320, .flags = {"--default_deadline_ms=1000"}}),
        neighbour(daemon.socket_path(), kNeighbourUid),
        poor(asker(daemon.socket_path(), kAskerUid)) {
    QUIRE_CHECK(neighbour.rounds(1).alive);
    QUIRE_CHECK(poor.channel().receive() == "c");
    TestProcess leaver = asker(daemon.socket_path(), kLeaverUid);
    QUIRE_CHECK(leaver.channel().receive() == "c" && ask(leaver) == "1");
    leaver.channel().close();
    QUIRE_CHECK(leaver.wait() == 0);
    const auto client = daemon.connect("rich");
    for (uint64_t context = 1; context <= kContexts; ++context) {
      QUIRE_CHECK(commit_spans(*client, context, kBlocksOfAContext) == kBlocksOfAContext);
    }
  }
  Holding rich() { return holding_of(daemon, ::geteuid()); }
  uint64_t pages_of_others() {
    return holding_of(daemon, kNeighbourUid).pages + holding_of(daemon, kLeaverUid).pages;
  }

  DaemonProcess daemon;
  Neighbour neighbour;
  TestProcess poor;
};

void expect_unharmed(const NeighbourReport& report) {
  EXPECT_EQ(report.rounds, kRounds);
  EXPECT_EQ(report.refusals, 0u);
  EXPECT_EQ(report.lost, 0u);
  EXPECT_EQ(report.wrong_pages, 0u);
}

}  // namespace

TEST(SegmentLoss, Law06_OneSpanEvictsWhatLiesInOneSegmentOfWhoIsOverItsShare) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be three users";
  FullHouse house;
  const Holding rich = house.rich();
  const uint64_t pages_of_others = house.pages_of_others();
  ASSERT_EQ(rich.segments, 3u);
  ASSERT_EQ(ask(house.poor), "1");
  const Holding after = house.rich();
  EXPECT_EQ(holding_of(house.daemon, kAskerUid).segments, 1u);
  EXPECT_LT(after.pages, rich.pages);
  // Beyond what lay there only the rest of paths whose beginning did.
  EXPECT_GE(after.pages, rich.pages - kSpansOfASegment - kBlocksOfAContext);
  EXPECT_EQ(house.pages_of_others(), pages_of_others) << "they have no more than their share";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(house.poor), "1");
  EXPECT_EQ(house.rich().pages, after.pages) << "there is room in the segment that it was given";
  expect_unharmed(house.neighbour.rounds(kRounds));
}

TEST(SegmentLoss, Law06_WhileNoMemoryCanBeMadeOneSegmentIsLostHoweverOftenSomebodyAsks) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be three users";
  FullHouse house;
  const uint64_t pages_of_others = house.pages_of_others();
  ASSERT_EQ(house.rich().segments, 3u);
  limit_now(RLIMIT_FSIZE, kSegmentBytes / 2, house.daemon.pid());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(house.poor), "0");
  EXPECT_EQ(text_at(house.daemon, "/tiers/0/state"), "degraded");
  EXPECT_EQ(house.rich().segments, 2u) << "what is taken away now nobody gets";
  EXPECT_EQ(house.pages_of_others(), pages_of_others);
  expect_unharmed(house.neighbour.rounds(kRounds));
  limit_now(RLIMIT_FSIZE, RLIM_INFINITY, house.daemon.pid());
  EXPECT_TRUE(eventually([&] { return ask(house.poor) == "1"; }));
  EXPECT_EQ(text_at(house.daemon, "/tiers/0/state"), "ok");
  EXPECT_EQ(house.rich().segments, 2u);
  expect_unharmed(house.neighbour.rounds(kRounds));
}

// Descriptors are gone when the daemon would make its first segment: it is as if its start had met
// the storm, whichever of the two is quicker.
TEST(SegmentLoss, Law09_MemoryComesWhenAStormForDescriptorsAtTheStartIsOver) {
  DaemonProcess daemon({.ram_mib = 128, .before_exec = [] { limit_now(RLIMIT_FSIZE, kMiB); }});
  ASSERT_TRUE(eventually([&] { return text_at(daemon, "/tiers/0/state") == "degraded"; }));
  // All of it once with descriptors: the sanitizer's check of an object's type takes some of its
  // own the first time.
  const DaemonStatus before = daemon.status();
  RawClient(daemon.socket_path());
  connect_raw(daemon.socket_path());
  ASSERT_TRUE(daemon.connect("before")->ping().ok());
  ASSERT_TRUE(daemon.eventually(
      [&](const DaemonStatus& now) { return now.open_files == before.open_files; }));
  limit_now(RLIMIT_NOFILE, before.open_files + 2 * kStorm, daemon.pid());
  // Those who are let in have two descriptors of the daemon each, the others wait in the backlog.
  std::vector<RawClient> storm;
  for (uint64_t i = 0; i < kStorm; ++i) storm.emplace_back(daemon.socket_path());
  std::vector<model::FdGuard> waiting;
  for (uint64_t i = 0; i < kStorm; ++i) waiting.push_back(connect_raw(daemon.socket_path()));
  limit_now(RLIMIT_FSIZE, RLIM_INFINITY, daemon.pid());
  EXPECT_TRUE(eventually([&] {
    return text_at(daemon, "/tiers/0/reason").find("RLIMIT_NOFILE") != std::string::npos;
  })) << text_at(daemon, "/tiers/0/reason");
  EXPECT_EQ(text_at(daemon, "/tiers/0/state"), "degraded");
  waiting.clear();
  storm.clear();
  EXPECT_TRUE(eventually([&] { return text_at(daemon, "/tiers/0/state") == "ok"; }));
  const auto client = daemon.connect();
  EXPECT_TRUE(hits_bit_exactly(*committed_session(*client, 1)));
}

}  // namespace quire::tests::segment_loss_test
