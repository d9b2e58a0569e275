// How often a status is made, whoever asks.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "server/control/control_verbs.h"
#include "server/options.h"
#include "server/runtime/event_loop.h"
#include "server/sessions/connection.h"
#include "tests/support/manual_clock.h"

namespace quire::server {
namespace {

constexpr uid_t kUser = 20001;
constexpr int64_t kIntervalNs = 10'000'000;

class StatusPace : public testing::Test, public ConnectionOwner {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be asked by other uids";
    ControlVerbs::Parts parts{.options = &options_, .clock = &clock_};
    parts.status_json = [this] { return ++everything_made_, std::string("{}"); };
    parts.own_status_json = [this](Connection&) { return ++own_made_, std::string("{}"); };
    parts.resume = [](Connection&) {};
    verbs_ = std::make_unique<ControlVerbs>(*ControlVerbs::create(std::move(parts)));
  }
  void on_input(Connection&) override {}
  model::Result<void> on_frame(Connection&, const model::FrameHeader&, std::string_view) override {
    return {};
  }
  void on_end(Connection&, const model::Error&) override {}

  Connection& connect_as(uid_t uid) {
    int pair[2] = {-1, -1};
    EXPECT_EQ(::seteuid(uid), 0);  // who a peer is, is written down when its socket is made
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    EXPECT_EQ(::seteuid(0), 0);
    peers_.emplace_back(pair[0]);
    auto connection = Connection::create(model::FdGuard(pair[1]), &*loop_, &clock_, this);
    EXPECT_TRUE(connection.ok());
    connections_.push_back(std::move(connection).value());
    connections_.back()->greeted = true;
    connections_.back()->domain = model::DomainId{static_cast<uint16_t>(uid == 0 ? 0 : 1)};
    return *connections_.back();
  }
  void ask(Connection& connection) {
    model::FrameHeader header;
    header.type = static_cast<uint16_t>(model::FrameType::kStatus);
    EXPECT_TRUE(verbs_->on_frame(connection, header, "").ok());
  }

  model::Result<EventLoop> loop_ = EventLoop::create();
  tests::ManualClock clock_;
  Options options_;
  std::unique_ptr<ControlVerbs> verbs_;
  std::vector<model::FdGuard> peers_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int everything_made_ = 0;
  int own_made_ = 0;
};

TEST_F(StatusPace, Law06_WhatManyConnectionsOfAUserAskIsMadeOnceInATime) {
  ask(connect_as(kUser));
  EXPECT_EQ(own_made_, 1);
  EXPECT_FALSE(connections_[0]->suspended()) << "the first is answered at once";
  for (int i = 0; i < 20; ++i) ask(connect_as(kUser));
  EXPECT_EQ(own_made_, 1);
  EXPECT_TRUE(connections_[1]->suspended()) << "and whoever asks again waits";
  clock_.advance(std::chrono::nanoseconds(kIntervalNs));
  EXPECT_TRUE(verbs_->answer_status(clock_.now_ns()));
  EXPECT_EQ(own_made_, 2) << "one document for twenty";
  EXPECT_FALSE(verbs_->status_waits());
}

TEST_F(StatusPace, OneUserDoesNotKeepAnotherFromItsStatus) {
  ask(connect_as(kUser));
  ask(connect_as(kUser));
  ask(connect_as(0));
  EXPECT_EQ(everything_made_, 1);
  EXPECT_FALSE(connections_[2]->suspended());
  EXPECT_TRUE(connections_[1]->suspended());
}

}  // namespace
}  // namespace quire::server
