// Events and locate of a whole daemon, through the client library.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "server/core.h"
#include "server/events/event_sender.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/event_map.h"
#include "tests/support/memory_cluster.h"
#include "tests/support/patience.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::events_daemon_test {
namespace {

using client::Event;
using client::EventStream;
using model::Errc;
using model::EventKind;
using model::EventSnapshot;
using model::TierId;

constexpr uint32_t kTokens = 33;  // eight spans and a token

class EventsDaemonTest : public testing::Test {
 protected:
  std::unique_ptr<client::Session> write(uint64_t context, const std::string& tenant = "tenant",
                                         const std::string& space = "model") {
    auto session = open_session(*client_, session_options(small_append_layout(), space, tenant));
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
    QUIRE_CHECK(commit_context(*session, kTokens).ok());
    return session;
  }
  std::unique_ptr<EventStream> subscribe(client::Client& client,
                                         const client::EventsOptions& options) {
    auto stream = client.subscribe_events(options);
    EXPECT_TRUE(stream.ok()) << stream.error().text;
    return std::move(stream).value();
  }
  // Applies what comes until the condition holds; false when it never does.
  static bool read_until(EventStream& stream, EventMap& map, const std::function<bool()>& done) {
    for (const Deadline deadline; !deadline.over();) {
      if (done()) return true;
      const auto events = stream.poll(100);
      if (!events.ok()) return done();
      for (const Event& event : *events) map.apply(*event.record);
    }
    return done();
  }
  std::map<EventMap::Key, uint8_t> held() {
    std::map<EventMap::Key, uint8_t> held;
    daemon_.on_core(
        [&](server::Daemon& daemon) { held = EventMap::of(inspect(daemon).found_objects()); });
    return held;
  }
  struct Deadline {
    bool over() const { return std::chrono::steady_clock::now() - start > kPatience; }
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  };
  static client::ChainNames names(const std::string& tenant = "tenant") {
    client::ChainNames names;
    names.layout = small_append_layout();
    names.tenant = tenant;
    names.namespace_name = "model";
    return names;
  }

  ScratchDirectory directory_;
  TestDaemon daemon_{small_options_with_ssd(directory_ / "ssd")};
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(EventsDaemonTest, TellsEachTierAndAddsUp) {
  auto router = daemon_.connect("router");
  const auto stream = subscribe(*router, {.snapshot = EventSnapshot::kAtOnce, .everything = true});
  EventMap map;
  const auto session = write(1);
  const uint8_t both = model::tier_bit(TierId::kRam) | model::tier_bit(TierId::kSsd);
  EXPECT_TRUE(read_until(*stream, map, [&] {
    return map.is_whole() && map.tiers().size() == 8 &&
           std::all_of(map.tiers().begin(), map.tiers().end(),
                       [&](const auto& entry) { return entry.second == both; });
  }));
  EXPECT_EQ(map.tiers(), held());
  // The hashes are those that any client computes.
  for (const model::Hash256& hash : session->chain()) {
    const std::string text(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
    EXPECT_EQ(std::count_if(map.tiers().begin(), map.tiers().end(),
                            [&](const auto& entry) { return std::get<2>(entry.first) == text; }),
              1);
  }
  daemon_.on_core([](server::Daemon& daemon) { meddle(daemon).evict(); });
  EXPECT_TRUE(read_until(*stream, map, [&] {
    return std::none_of(map.tiers().begin(), map.tiers().end(), [&](const auto& entry) {
      return (entry.second & model::tier_bit(TierId::kRam)) != 0;
    });
  })) << "pages that left RAM are told";
  EXPECT_EQ(map.tiers(), held());
  EXPECT_EQ(map.gaps(), 0u);
  EXPECT_EQ(map.wrong_numbers(), 0u);
  EXPECT_EQ(map.readable(), both);
}

TEST_F(EventsDaemonTest, SnapshotAfterARestartHasWhatTheSsdKept) {
  write(1);
  ASSERT_TRUE(daemon_.eventually(
      [](server::Daemon& daemon) { return inspect(daemon).counters().all_on_ssd(); }));
  client_.reset();
  daemon_.restart();
  auto router = daemon_.connect("router");
  const auto stream = subscribe(*router, {.snapshot = EventSnapshot::kAtOnce});
  EventMap map;
  ASSERT_TRUE(read_until(*stream, map, [&] { return map.is_whole(); }));
  EXPECT_EQ(map.tiers().size(), 8u);
  EXPECT_EQ(map.tiers(), held());
}

TEST_F(EventsDaemonTest, WhoReconnectsGoesOnBehindItsLastEvent) {
  auto router = daemon_.connect("router");
  EventMap map;
  uint64_t epoch = 0;
  uint64_t last = 0;
  {
    const auto stream = subscribe(*router, {});
    write(1);
    ASSERT_TRUE(read_until(*stream, map, [&] { return map.events() >= 8; }));
    epoch = stream->epoch();
    last = stream->last_sequence();
  }
  EXPECT_EQ(epoch, router->daemon_epoch());
  router = daemon_.connect("router");
  write(2);
  const auto stream = subscribe(*router, {.resume = true, .epoch = epoch, .after_sequence = last});
  const uint64_t before = map.events();
  ASSERT_TRUE(read_until(*stream, map, [&] { return map.events() >= before + 8; }));
  EXPECT_EQ(map.gaps(), 0u);
  EXPECT_EQ(map.wrong_numbers(), 0u);
  const auto other = subscribe(*router, {.resume = true, .epoch = epoch + 1, .after_sequence = 1});
  EventMap of_other;
  EXPECT_TRUE(read_until(*other, of_other, [&] { return of_other.gaps() == 1; }));
}

// A subscriber that is stopped costs its own events and nothing else; when it reads again it is
// told what it missed and gets a snapshot.
TEST_F(EventsDaemonTest, StuckSubscriberIsOvertakenAndHealed) {
  client_.reset();
  daemon_.stop();
  daemon_.options().event_bytes = 1024 * sizeof(model::EventRecord);
  daemon_.start();
  client_ = daemon_.connect();
  auto router = daemon_.connect("router");
  const auto stream = subscribe(*router, {.snapshot = EventSnapshot::kAfterGaps});
  EventMap map;
  ASSERT_TRUE(read_until(*stream, map, [&] { return map.next() > 0; }));
  // More than its pipe of 1 MiB and the ring hold: eight spans come to RAM and to the SSD, and
  // leave RAM again.
  for (uint64_t context = 1; context <= 600; ++context) {
    write(context);
    daemon_.on_core([](server::Daemon& daemon) { meddle(daemon).evict(); });
  }
  const auto session = write(601);
  EXPECT_TRUE(session->match(kTokens).ok()) << "others are served";
  ASSERT_TRUE(read_until(*stream, map, [&] { return map.is_whole(); }));
  EXPECT_GT(map.gaps(), 0u);
  EXPECT_EQ(map.wrong_numbers(), 0u);
}

TEST_F(EventsDaemonTest, SubscriptionGoesWithItsConnectionAndWithItsReader) {
  auto router = daemon_.connect("router");
  std::vector<std::unique_ptr<EventStream>> streams;
  for (size_t i = 0; i < server::EventSender::kMostOfOneUser; ++i) {
    streams.push_back(subscribe(*router, {}));
  }
  EXPECT_EQ(router->subscribe_events({}).code(), Errc::kBusy);
  streams.pop_back();
  EXPECT_TRUE(daemon_.eventually([&](server::Daemon&) { return true; }));
  bool again = false;
  for (const Deadline deadline; !again && !deadline.over();) {
    again = router->subscribe_events({}).ok();
  }
  EXPECT_TRUE(again) << "nobody read one of them any more";
  router.reset();
  EventMap map;
  bool ended = false;
  for (const Deadline deadline; !ended && !deadline.over();) {
    ended = streams.front()->poll(100).code() == Errc::kUnavailable;
  }
  EXPECT_TRUE(ended);
}

// Whoever runs the tests reads everything by its own right: what is asked here is what ends.
TEST_F(EventsDaemonTest, EverybodysEventsEndWithTheRightToHearThem) {
  const auto router = daemon_.connect("router");
  const auto everything = subscribe(*router, {.everything = true});
  const auto own = subscribe(*router, {});
  daemon_.on_core(
      [](server::Daemon& d) { d.core().events()->recheck([](const void*) { return false; }); });
  bool ended = false;
  for (const Deadline deadline; !ended && !deadline.over();) {
    ended = everything->poll(100).code() == Errc::kUnavailable;
  }
  EXPECT_TRUE(ended);
  EXPECT_NE(own->poll(0).code(), Errc::kUnavailable);
}

TEST_F(EventsDaemonTest, RefusesWhereEventsAreOff) {
  client_.reset();
  daemon_.stop();
  daemon_.options().event_bytes = 0;
  daemon_.start();
  client_ = daemon_.connect();
  const auto refused = client_->subscribe_events({});
  EXPECT_EQ(refused.code(), Errc::kNotFound);
  EXPECT_NE(refused.error().text.find("--event_memory"), std::string::npos);
  write(1);
  EXPECT_TRUE(client_->locate(names(), context_tokens(kTokens, 1))->known);
}

TEST_F(EventsDaemonTest, LocateSaysHowMuchOfAPromptIsWhere) {
  write(1);
  const auto tokens = context_tokens(64, 1);
  auto held = client_->locate(names(), tokens);
  ASSERT_TRUE(held.ok()) << held.error().text;
  EXPECT_TRUE(held->known);
  EXPECT_EQ(held->span_tokens, 32u);
  EXPECT_EQ(held->exact_tokens, 32u);
  EXPECT_EQ(held->tier_tokens[0], 32u);
  ASSERT_TRUE(daemon_.eventually(
      [](server::Daemon& daemon) { return inspect(daemon).counters().all_on_ssd(); }));
  daemon_.on_core([](server::Daemon& daemon) { meddle(daemon).evict(); });
  held = client_->locate(names(), tokens);
  EXPECT_EQ(held->tier_tokens[0], 0u);
  EXPECT_EQ(held->tier_tokens[1], 32u);
  EXPECT_EQ(client_->locate(names(), context_tokens(64, 2))->span_tokens, 0u);
  uint64_t pins = 1;
  daemon_.on_core([&](server::Daemon& daemon) { pins = inspect(daemon).pin_count(); });
  EXPECT_EQ(pins, 0u) << "it pins nothing";
}

TEST_F(EventsDaemonTest, LocateMakesNothingAndKnowsWhatItDoesNotKnow) {
  const auto held = client_->locate(names("nobody"), context_tokens(16, 1));
  ASSERT_TRUE(held.ok());
  EXPECT_FALSE(held->known);
  uint32_t roots = 1;
  daemon_.on_core([&](server::Daemon& daemon) { roots = daemon.cache().names().root_count(); });
  EXPECT_EQ(roots, 0u);
  EXPECT_EQ(client_->locate(names(), context_tokens(3, 1)).code(), Errc::kInvalidArgument)
      << "no whole unit";
}

TEST_F(EventsDaemonTest, LocateFindsASharedNamespaceByAnyTenant) {
  client_.reset();
  daemon_.stop();
  daemon_.options().shared_namespaces = "model";
  daemon_.start();
  client_ = daemon_.connect();
  write(1, "a");
  EXPECT_EQ(client_->locate(names("b"), context_tokens(kTokens, 1))->span_tokens, 32u);
}

TEST_F(EventsDaemonTest, LocateByHashesOfTheEngine) {
  const auto session =
      open_session(*client_, session_options(small_append_layout(), "model", "tenant"));
  std::vector<model::Hash256> leaves(4);
  for (size_t i = 0; i < leaves.size(); ++i) leaves[i].bytes[3] = static_cast<uint8_t>(i + 1);
  ASSERT_TRUE(session->append_unit_hashes(leaves).ok());
  for (uint32_t end = 4; end <= 12; end += 4) {
    ASSERT_TRUE(commit_object(*session, model::FillKind::kSpan, end).ok());
  }
  EXPECT_EQ(client_->locate_hashes(names(), leaves)->span_tokens, 12u);
}

// What another host wrote: on the cluster, and not known here.
class LocateOnTheCluster : public EventsDaemonTest {
 protected:
  void SetUp() override {
    on_core([&](server::Daemon& daemon) {
      cluster_ = add_memory_cluster(daemon, tiering::AdmissionRule::kAll);
    });
    write(1);
    ASSERT_TRUE(daemon_.eventually([&](server::Daemon& daemon) {
      return inspect(daemon).pin_count() == 0 && cluster_->object_count() == 8 &&
             daemon.tiers()->idle();
    }));
    on_core([](server::Daemon& daemon) {
      while (meddle(daemon).evict() > 0 || meddle(daemon).evict_from_ssd() ||
             meddle(daemon).forget_from_cluster()) {
      }
    });
    ASSERT_EQ(spans(), 0u);
  }
  void on_core(const std::function<void(server::Daemon&)>& function) { daemon_.on_core(function); }
  uint64_t spans() { return daemon_.counters().spans; }
  client::HeldChain locate(uint32_t cluster_wait_ms) {
    const auto held = client_->locate(names(), context_tokens(64, 1), cluster_wait_ms);
    EXPECT_TRUE(held.ok()) << held.error().text;
    return held.ok() ? *held : client::HeldChain{};
  }

  // Its root stays while it is open.
  std::unique_ptr<client::Session> session_ =
      open_session(*client_, session_options(small_append_layout(), "model", "tenant"));
  MemoryTier* cluster_ = nullptr;
};

constexpr uint32_t kPatientWaitMs = model::kMaxLocateWaitMs;

TEST_F(LocateOnTheCluster, TellsWhatTheClusterHasAndKeepsNothingOfIt) {
  const client::HeldChain here = locate(0);
  EXPECT_TRUE(here.known);
  EXPECT_EQ(here.span_tokens, 0u);
  EXPECT_EQ(here.cluster, model::ClusterAnswer::kNotAsked);
  const client::HeldChain held = locate(kPatientWaitMs);
  EXPECT_EQ(held.cluster, model::ClusterAnswer::kAnswered);
  EXPECT_EQ(held.span_tokens, 32u);
  EXPECT_EQ(held.exact_tokens, 32u);
  EXPECT_EQ(held.tier_tokens[model::index_of(TierId::kCluster)], 32u);
  EXPECT_EQ(spans(), 0u) << "nothing joined";
  EXPECT_EQ(locate(0).span_tokens, 0u);
}

TEST_F(LocateOnTheCluster, WhatIsHereIsCountedHere) {
  const auto tokens = context_tokens(kTokens, 1);
  ASSERT_TRUE(session_->append_tokens(tokens).ok());
  ASSERT_TRUE(commit_object(*session_, model::FillKind::kSpan, 4).ok());
  const client::HeldChain held = locate(kPatientWaitMs);
  EXPECT_EQ(held.span_tokens, 32u);
  EXPECT_EQ(held.tier_tokens[model::index_of(TierId::kRam)], 4u);
  EXPECT_EQ(held.tier_tokens[model::index_of(TierId::kCluster)], 28u);
}

TEST_F(LocateOnTheCluster, Law15_WaitsNoLongerThanItsTime) {
  on_core([&](server::Daemon&) { cluster_->hold(true); });
  const client::HeldChain held = locate(1);
  EXPECT_EQ(held.cluster, model::ClusterAnswer::kTooLate);
  EXPECT_EQ(held.span_tokens, 0u);
  EXPECT_EQ(client_->locate(names(), context_tokens(64, 1), kPatientWaitMs + 1).code(),
            Errc::kInvalidArgument);
  on_core([&](server::Daemon&) { cluster_->hold(false); });
  EXPECT_EQ(locate(kPatientWaitMs).span_tokens, 32u) << "the late answer is nobody's";
}

TEST_F(LocateOnTheCluster, Law09_WithTheTierOffItTellsWhatIsHere) {
  on_core([&](server::Daemon&) { cluster_->set_mode(tiering::TierMode::kOff); });
  EXPECT_EQ(locate(kPatientWaitMs).cluster, model::ClusterAnswer::kUnavailable);
}

}  // namespace
}  // namespace quire::tests::events_daemon_test
