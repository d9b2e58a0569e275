// Law 7: the daemon is killed while clients are mapped and in calls. No client may crash; each
// learns of it, keeps reading what it has mapped, and goes on with the successor.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/patience.h"
#include "tests/support/patient_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::daemon_death_test {

using client::Client;
using client::Session;
using model::Errc;
using model::FillKind;

namespace {

// What a client is doing all the time.
enum class Habit : uint8_t { kNothing, kNoop, kMatch, kCommit, kPing, kOpenSession };
constexpr Habit kHabits[] = {Habit::kNothing, Habit::kNoop, Habit::kMatch,
                             Habit::kCommit,  Habit::kPing, Habit::kOpenSession};

class Survivor {
 public:
  Survivor(const std::string& socket_path, uint64_t context) : context_(context) {
    auto connected = Client::connect(patient_client(socket_path, "survivor"));
    QUIRE_CHECK(connected.ok());
    client_ = std::move(connected).value();
    session_ = committed_session(*client_, context);
    const auto match = session_->match(kPromptTokens);
    QUIRE_CHECK(match.ok());
    lease_ = match->lease;
    const auto loaded = session_->load(lease_);
    QUIRE_CHECK(loaded.ok());
    pages_.assign(loaded->pages.begin(), loaded->pages.end());
    epoch_ = client_->daemon_epoch();
  }

  Errc call(Habit habit) {
    switch (habit) {
      case Habit::kNothing:
        return client_->progress().code();
      case Habit::kNoop:
        return session_->noop().code();
      case Habit::kMatch:
        return match_and_release();
      case Habit::kCommit:
        return commit_another();
      case Habit::kPing:
        return client_->ping().code();
      case Habit::kOpenSession:
        return client_->open_session(session_options(small_hybrid_layout())).code();
    }
    return Errc::kInternal;
  }

  void check_after_the_end(ChildChecks& checks) {
    checks.expect(client_->progress().code() == Errc::kUnavailable, "news: unavailable");
    checks.expect(client_->ping().code() == Errc::kUnavailable, "ping: unavailable");
    checks.expect(session_->match(kPromptTokens).code() == Errc::kUnavailable,
                  "match: unavailable");
    checks.expect(session_->load(lease_).code() == Errc::kUnavailable, "load: unavailable");
    checks.expect(session_->begin_fill(FillKind::kCheckpoint, 4).code() == Errc::kUnavailable,
                  "begin_fill: unavailable");
    checks.expect(pages_verify(), "mapped pages verify");
  }

  void check_with_the_successor(ChildChecks& checks) {
    checks.expect(client_->reconnect(kPatienceMs).ok(), "reconnect");
    checks.expect(client_->daemon_epoch() != epoch_, "another epoch");
    checks.expect(session_->match(kPromptTokens).code() == Errc::kStaleHandle, "match: stale");
    checks.expect(session_->load(lease_).code() == Errc::kStaleHandle, "load: stale");
    checks.expect(session_->release(lease_).code() == Errc::kStaleHandle, "release: stale");
    const auto fresh = committed_session(*client_, context_);
    checks.expect(hits_bit_exactly(*fresh), "a fresh session works");
    checks.expect(pages_verify(), "old pages verify still");
  }

 private:
  Errc match_and_release() {
    const auto match = session_->match(kPromptTokens);
    return match.ok() ? session_->release(match->lease).code() : match.code();
  }
  Errc commit_another() {
    const auto session = client_->open_session(session_options(small_hybrid_layout()));
    if (!session.ok()) return session.code();
    QUIRE_CHECK((*session)->append_tokens(context_tokens(8, ++committed_ << 8 | context_)).ok());
    return commit_object(**session, FillKind::kSpan, 8).code();
  }
  bool pages_verify() const {
    return std::all_of(pages_.begin(), pages_.end(), client::verify_page);
  }

  uint64_t context_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Session> session_;
  uint64_t lease_ = 0;
  std::vector<client::PageView> pages_;
  uint64_t epoch_ = 0;
  uint64_t committed_ = 0;
};

int survive(const std::string& socket_path, Habit habit, Channel& channel) {
  Survivor survivor(socket_path, static_cast<uint64_t>(habit) + 1);
  ChildChecks checks;
  Errc code = Errc::kOk;
  for (int calls = 1; code == Errc::kOk; ++calls) {
    code = survivor.call(habit);
    if (calls == 20) channel.send("r");
  }
  checks.expect(code == Errc::kUnavailable, "the call that meets the end says unavailable");
  survivor.check_after_the_end(checks);
  channel.send("d");
  channel.receive();  // a successor listens
  survivor.check_with_the_successor(checks);
  return checks.failures();
}

}  // namespace

TEST(DaemonDeath, Law07_NoClientCrashesAndEachGoesOnWithTheSuccessor) {
  DaemonProcess daemon;
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::vector<TestProcess> clients;
    for (const Habit habit : kHabits) {
      clients.push_back(TestProcess::call(
          [&](Channel& channel) { return survive(daemon.socket_path(), habit, channel); }));
    }
    for (TestProcess& client : clients) ASSERT_EQ(client.channel().receive(), "r");
    daemon.crash();
    EXPECT_TRUE(std::filesystem::exists(daemon.socket_path())) << "stale, to be taken over";
    for (TestProcess& client : clients) ASSERT_EQ(client.channel().receive(), "d");
    daemon.start();
    for (TestProcess& client : clients) client.channel().send("s");
    for (size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].wait(), 0) << "habit " << i;
    }
  }
}

TEST(DaemonDeath, Law07_CleanStopIsNoDifferentForAClient) {
  DaemonProcess daemon;
  TestProcess client = TestProcess::call(
      [&](Channel& channel) { return survive(daemon.socket_path(), Habit::kMatch, channel); });
  ASSERT_EQ(client.channel().receive(), "r");
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(daemon.socket_path()));
  ASSERT_EQ(client.channel().receive(), "d");
  daemon.start();
  client.channel().send("s");
  EXPECT_EQ(client.wait(), 0);
}

TEST(DaemonDeath, Law07_ReconnectWaitsForTheSuccessor) {
  DaemonProcess daemon;
  TestProcess client = TestProcess::call([&](Channel& channel) {
    Survivor survivor(daemon.socket_path(), 1);
    ChildChecks checks;
    channel.send("r");
    while (survivor.call(Habit::kNoop) == Errc::kOk) {
    }
    channel.send("d");
    survivor.check_with_the_successor(checks);  // which is not there yet
    return checks.failures();
  });
  ASSERT_EQ(client.channel().receive(), "r");
  daemon.crash();
  ASSERT_EQ(client.channel().receive(), "d");
  daemon.start();
  EXPECT_EQ(client.wait(), 0);
}

}  // namespace quire::tests::daemon_death_test
