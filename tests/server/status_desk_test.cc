// How often a status is made, whoever asks, and that the core does not print it.
#include "server/status/status_desk.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/runtime/event_loop.h"
#include "server/sessions/connection.h"
#include "server/status/census.h"
#include "server/status/prometheus_text.h"
#include "server/status/status_json.h"
#include "tests/server/status_rig.h"
#include "tests/support/patience.h"

namespace quire::server::status_desk_test {
namespace {

using model::FrameType;
using model::StatusFormat;

constexpr uid_t kUser = 20001;

class StatusDeskTest : public testing::Test, public ConnectionOwner {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be asked by other uids";
    desk_ = StatusDesk::create(rig_.sources()).value();
  }
  void on_input(Connection&) override { ++inputs_; }
  model::Result<void> on_frame(Connection&, const model::FrameHeader&, std::string_view) override {
    return {};
  }
  void on_end(Connection& connection, const model::Error&) override { desk_->forget(connection); }

  Connection& connect_as(uid_t uid) {
    int pair[2] = {-1, -1};
    EXPECT_EQ(::seteuid(uid), 0);  // who a peer is, is written down when its socket is made
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT_EQ(::seteuid(0), 0);
    peers_.emplace_back(pair[0]);
    auto connection = Connection::create(model::FdGuard(pair[1]), &*loop_, &rig_.clock(), this);
    EXPECT_TRUE(connection.ok());
    connections_.push_back(std::move(connection).value());
    connections_.back()->greeted = true;
    connections_.back()->domain = *rig_.cache().add_domain("uid:" + std::to_string(uid));
    return *connections_.back();
  }
  void ask(Connection& connection, StatusFormat format = StatusFormat::kJson) {
    desk_->ask(connection, 7, format, connection.peer().uid == 0);
  }
  // Turns of the core, until nothing that is due is left.
  void turns() {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < tests::kPatience) {
      if (desk_->step(rig_.clock().now_ns())) continue;
      if (desk_->printing_count() == 0) return;
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the desk never comes to an end";
  }
  // What the peer was sent, whole frames; empty when nothing.
  std::string received(size_t peer) {
    std::string bytes(model::kMaxFrameBytes, '\0');
    const ssize_t got = ::recv(peers_[peer].get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }
  std::string text_of(const std::string& frame) {
    constexpr size_t kFront = sizeof(model::FrameHeader) + sizeof(model::ReplyStatus);
    return frame.size() < kFront ? "" : frame.substr(kFront);
  }

  model::Result<EventLoop> loop_ = EventLoop::create();
  StatusRig rig_;
  std::unique_ptr<StatusDesk> desk_;
  std::vector<model::FdGuard> peers_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int inputs_ = 0;
};

TEST_F(StatusDeskTest, Law06_WhatManyConnectionsOfAUserAskIsMadeOnceInATime) {
  ask(connect_as(kUser));
  turns();
  EXPECT_EQ(desk_->made_count(), 1u);
  EXPECT_FALSE(connections_[0]->suspended()) << "the first is answered at once";
  for (int i = 0; i < 20; ++i) ask(connect_as(kUser));
  turns();
  EXPECT_EQ(desk_->made_count(), 1u);
  EXPECT_TRUE(connections_[1]->suspended()) << "and whoever asks again waits";
  EXPECT_TRUE(desk_->waits());
  rig_.clock().advance(std::chrono::nanoseconds(StatusDesk::kIntervalNs));
  turns();
  EXPECT_EQ(desk_->made_count(), 2u) << "one document for twenty";
  EXPECT_FALSE(desk_->waits());
  for (size_t peer = 0; peer < peers_.size(); ++peer) {
    EXPECT_TRUE(boost::json::parse(text_of(received(peer))).is_object()) << peer;
  }
}

class FedDeskTest : public StatusDeskTest {
 protected:
  void SetUp() override {
    StatusDeskTest::SetUp();
    if (desk_ == nullptr) return;
    feed_ = StatusFeed::create(&*waker_).value();
    desk_->serve(feed_.get());
  }

  model::Result<Waker> waker_ = Waker::create();
  std::unique_ptr<StatusFeed> feed_;
};

TEST_F(FedDeskTest, AReaderOnAnotherThreadHasItsTapeFilledAndPrintsItItself) {
  EXPECT_FALSE(desk_->waits());
  feed_->ask();
  EXPECT_FALSE(feed_->is_readers());
  EXPECT_TRUE(desk_->waits());
  turns();
  EXPECT_TRUE(feed_->is_readers());
  EXPECT_FALSE(desk_->waits());
  uint64_t count = 0;
  EXPECT_EQ(::read(feed_->filled_fd(), &count, sizeof(count)), ssize_t{sizeof(count)});
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(boost::json::parse(json_of(feed_->tape())).at("scope").as_string(), "all");
}

TEST_F(FedDeskTest, Law06_AReaderThatAsksWithoutEndIsServedOnceInATime) {
  feed_->ask();
  turns();
  for (int i = 0; i < 10; ++i) {
    if (feed_->is_readers()) feed_->ask();
    turns();
  }
  EXPECT_EQ(desk_->made_count(), 1u);
  rig_.clock().advance(std::chrono::nanoseconds(StatusDesk::kIntervalNs));
  turns();
  EXPECT_EQ(desk_->made_count(), 2u);
  EXPECT_TRUE(feed_->is_readers());
}

TEST_F(FedDeskTest, ItAndConnectionsAreServedSideBySide) {
  feed_->ask();
  ask(connect_as(0));
  turns();
  EXPECT_TRUE(feed_->is_readers());
  EXPECT_FALSE(connections_[0]->suspended());
  EXPECT_EQ(boost::json::parse(json_of(feed_->tape())).at("scope").as_string(), "all");
  EXPECT_TRUE(boost::json::parse(text_of(received(0))).is_object());
}

TEST_F(FedDeskTest, WhatIsSaidAnewReplacesWhatWasSaid) {
  feed_->ask();
  turns();
  const auto lines = [this] {
    const std::string text = prometheus_of(feed_->tape());
    return std::count(text.begin(), text.end(), '\n');
  };
  const auto first = lines();
  feed_->ask();
  rig_.clock().advance(std::chrono::nanoseconds(StatusDesk::kIntervalNs));
  turns();
  EXPECT_EQ(lines(), first);
}

// Looks at nothing, so many times.
class CountedPass final : public StatusPass {
 public:
  CountedPass(int steps, int* taken) : steps_(steps), taken_(taken) {}
  bool step() override { return ++*taken_ >= steps_; }
  void say(model::MetricSink& sink) const override { sink.gauge("steps", 1, "Of a test"); }

 private:
  const int steps_;
  int* taken_;
};

TEST_F(StatusDeskTest, APassGoesInStepsAndEndsWithItsReader) {
  Connection& first = connect_as(0);
  Connection& second = connect_as(0);
  int of_first = 0;
  int of_second = 0;
  desk_->answer_after(first, FrameType::kSessions, 1, std::make_unique<CountedPass>(3, &of_first));
  desk_->answer_after(second, FrameType::kSessions, 2,
                      std::make_unique<CountedPass>(3, &of_second));
  EXPECT_TRUE(desk_->is_filling());
  EXPECT_TRUE(desk_->step(rig_.clock().now_ns()));
  EXPECT_EQ(of_first + of_second, 1) << "one step a turn, of one of them";
  desk_->forget(first);
  turns();
  EXPECT_EQ(of_first, 1);
  EXPECT_EQ(of_second, 3);
  EXPECT_EQ(text_of(received(1)), R"({"steps":1})");
  EXPECT_FALSE(desk_->is_filling());
}

TEST_F(StatusDeskTest, Law06_ManyTenantsAreLookedAtInTurns) {
  constexpr uint32_t kTenants = 3 * TenantCensus::kLooksPerStep;
  Connection& reader = connect_as(0);
  for (uint32_t i = 0; i < kTenants; ++i) {
    rig_.cache().names().tenants().hold(reader.domain, "tenant" + std::to_string(i));
  }
  desk_->answer_after(reader, FrameType::kTenants, 1,
                      std::make_unique<TenantCensus>(&rig_.cache(), rig_.sources().registry));
  int steps = 0;
  while (desk_->is_filling()) {
    EXPECT_TRUE(desk_->step(rig_.clock().now_ns()));
    ++steps;
  }
  EXPECT_EQ(steps, 3);
  turns();
  const auto answer = boost::json::parse(text_of(received(0)));
  EXPECT_EQ(answer.at("tenants_total").to_number<uint32_t>(), kTenants);
  EXPECT_EQ(answer.at("tenants").as_array().size(), model::kMaxMetricRows) << "the rest is counted";
}

TEST_F(StatusDeskTest, OneUserDoesNotKeepAnotherFromItsStatus) {
  ask(connect_as(kUser));
  ask(connect_as(kUser));
  turns();
  ask(*connections_[1]);
  ask(connect_as(0));
  turns();
  EXPECT_EQ(desk_->made_count(), 2u);
  EXPECT_FALSE(connections_[2]->suspended());
  EXPECT_TRUE(connections_[1]->suspended());
}

TEST_F(StatusDeskTest, AdministratorsSeeEverythingAndUsersTheirOwn) {
  ask(connect_as(0));
  ask(connect_as(kUser));
  turns();
  EXPECT_EQ(boost::json::parse(text_of(received(0))).at("scope").as_string(), "all");
  EXPECT_EQ(boost::json::parse(text_of(received(1))).at("scope").as_string(), "own");
}

TEST_F(StatusDeskTest, OneDocumentIsPrintedInEveryFormThatItsReadersWant) {
  ask(connect_as(kUser), StatusFormat::kPrometheus);
  ask(connect_as(kUser), StatusFormat::kJson);
  turns();
  EXPECT_EQ(desk_->made_count(), 1u);
  EXPECT_TRUE(text_of(received(0)).starts_with("# HELP quire_"));
  EXPECT_TRUE(text_of(received(1)).starts_with("{\"schema\":"));
}

// A reader is told of no time before its question.
TEST_F(StatusDeskTest, WhoAsksWhileAStatusIsMadeWaitsForTheNext) {
  ask(connect_as(0));
  EXPECT_TRUE(desk_->step(rig_.clock().now_ns())) << "begun";
  ask(connect_as(0));
  turns();
  EXPECT_FALSE(connections_[0]->suspended());
  EXPECT_TRUE(connections_[1]->suspended());
  EXPECT_EQ(received(1), "");
}

TEST_F(StatusDeskTest, PartsAnswerByThemselves) {
  Connection& connection = connect_as(0);
  desk_->answer(connection, FrameType::kScrub, 9,
                [](model::MetricSink& sink) { sink.gauge("passes", 3, "Whole passes"); });
  EXPECT_TRUE(connection.suspended());
  turns();
  const std::string frame = received(0);
  model::FrameHeader header;
  ASSERT_GE(frame.size(), sizeof(header));
  std::memcpy(&header, frame.data(), sizeof(header));
  EXPECT_EQ(header.type, static_cast<uint16_t>(FrameType::kScrub) | model::kReplyBit);
  EXPECT_EQ(header.sequence, 9u);
  EXPECT_EQ(text_of(frame), R"({"passes":3})");
  EXPECT_EQ(inputs_, 1) << "what it sent meanwhile has its turn";
}

// Law 5: at every point of a status's life.
TEST_F(StatusDeskTest, Law05_WhoeverLeavesIsForgotten) {
  for (int steps = 0; steps < 8; ++steps) {
    ask(connect_as(0));
    ask(connect_as(kUser));
    for (int i = 0; i < steps; ++i) desk_->step(rig_.clock().now_ns());
    for (const auto& connection : connections_) {
      connection->end(model::make_error(model::Errc::kOk, "it left"));
    }
    connections_.clear();
    turns();
    EXPECT_FALSE(desk_->waits());
    rig_.clock().advance(std::chrono::nanoseconds(StatusDesk::kIntervalNs));
  }
}

TEST_F(StatusDeskTest, GoesWhileSomethingIsPrinted) {
  ask(connect_as(kUser));
  desk_->step(rig_.clock().now_ns());
  EXPECT_EQ(desk_->printing_count(), 1u);
  desk_.reset();  // the sanitizers say what is left
  connections_.clear();
}

}  // namespace
}  // namespace quire::server::status_desk_test
