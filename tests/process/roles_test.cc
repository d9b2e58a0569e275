// Who may do what, over a real daemon and with real uids: every verb, every action, every role.
// What is expected is written out here, so that a slip in the table of verbs is seen.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "model/socket_verbs.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/process/disguise.h"
#include "tests/support/raw_client.h"

namespace quire::tests::roles_test {

namespace {

using model::Errc;
using model::SocketVerb;
using model::VerbAction;

constexpr uid_t kClient = 60001;
constexpr uid_t kReader = 60002;
constexpr uid_t kMeter = 60003;
constexpr gid_t kReaders = 60010;  // a group
constexpr gid_t kOthers = 60011;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Roles : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be asked by other uids";
    std::filesystem::remove(log_path_);
    daemon_ = std::make_unique<DaemonProcess>(DaemonProcess::Options{
        .flags = {"--log_level=warning",
                  "--reader_uids=" + std::to_string(kReader) + ",@" + std::to_string(kReaders),
                  "--meter_uids=" + std::to_string(kMeter)},
        .log_path = log_path_});
  }
  ~Roles() override { std::filesystem::remove(log_path_); }

  // What the daemon says to a request that is all zeroes but for its action byte. A connection of
  // its own, for some requests end it.
  Errc ask(uid_t uid, const SocketVerb& verb, const VerbAction* action) {
    std::string payload(verb.codec.request_bytes, '\0');
    if (action != nullptr && verb.codec.action_offset != model::VerbCodec::kNoByte) {
      payload.at(verb.codec.action_offset) = static_cast<char>(action->value);
    }
    std::unique_ptr<RawClient> client;
    {
      const Disguise disguise(uid);
      client = std::make_unique<RawClient>(daemon_->socket_path());
    }
    client->send(verb.type, payload);
    return read_error(client->fd());
  }
  // "policy show" and so on: what this uid is not refused.
  std::set<std::string> allowed(uid_t uid) {
    std::set<std::string> names;
    for (const SocketVerb& verb : model::kSocketVerbs) {
      if (verb.type == model::FrameType::kHello || !verb.replies) continue;
      if (verb.codec.actions.empty() && ask(uid, verb, nullptr) != Errc::kPermissionDenied) {
        names.insert(std::string(verb.name));
      }
      for (const VerbAction& action : verb.codec.actions) {
        if (ask(uid, verb, &action) != Errc::kPermissionDenied) {
          names.insert(verb_text(verb, &action));
        }
      }
    }
    return names;
  }
  Errc show_policy(uid_t uid, const std::vector<gid_t>& groups) {
    const Disguise disguise(uid, groups);
    const auto client = client::Client::connect({.socket_path = daemon_->socket_path()});
    return client.ok() ? (*client)->policy_json().code() : client.code();
  }
  std::string log_lines() {
    std::ifstream log(log_path_);
    return {std::istreambuf_iterator<char>(log), {}};
  }

  const std::string log_path_ = testing::TempDir() + "quired-roles-" + std::to_string(::getpid());
  std::unique_ptr<DaemonProcess> daemon_;
};

const std::set<std::string> kOfClients{
    "close_session", "events own",   "hand_over", "join_session",    "locate", "make_staging",
    "map_segment",   "open_session", "ping",      "register_layout", "status", "why"};
const std::set<std::string> kOfReaders{"config show",
                                       "events all",
                                       "evict show",
                                       "flush show",
                                       "kept show",
                                       "pin show",
                                       "policy show",
                                       "policy advise",
                                       "quota show",
                                       "scrub status",
                                       "policy advise_checkpoints",
                                       "verify memory_status",
                                       "sessions",
                                       "tenants"};
const std::set<std::string> kOfMeters{"meter blocks", "meter hours", "meter minutes"};

std::set<std::string> with(std::set<std::string> names, const std::set<std::string>& others) {
  names.insert(others.begin(), others.end());
  return names;
}

}  // namespace

TEST_F(Roles, ClientsReachTheirOwnAndNothingElse) { EXPECT_EQ(allowed(kClient), kOfClients); }

TEST_F(Roles, ReadersSeeWhatIsEverybodysAndChangeNothing) {
  EXPECT_EQ(allowed(kReader), with(kOfClients, kOfReaders));
}

TEST_F(Roles, MetersReadReceipts) { EXPECT_EQ(allowed(kMeter), with(kOfClients, kOfMeters)); }

TEST_F(Roles, AdministratorsAreRefusedNothing) {
  std::set<std::string> all;
  for (const SocketVerb& verb : model::kSocketVerbs) {
    if (verb.type == model::FrameType::kHello || !verb.replies) continue;
    if (verb.codec.actions.empty()) all.insert(std::string(verb.name));
    for (const VerbAction& action : verb.codec.actions) all.insert(verb_text(verb, &action));
  }
  EXPECT_EQ(allowed(0), all);
}

TEST_F(Roles, AGroupIsThatOfThePeerFirstOrNot) {
  EXPECT_EQ(show_policy(kClient, {kReaders}), Errc::kOk);
  EXPECT_EQ(show_policy(kClient, {kOthers, kReaders}), Errc::kOk);
  EXPECT_EQ(show_policy(kClient, {kOthers}), Errc::kPermissionDenied);
  EXPECT_EQ(show_policy(kClient, {}), Errc::kPermissionDenied);
  EXPECT_EQ(show_policy(kReaders, {}), Errc::kOk) << "its first group has the number";
}

TEST_F(Roles, StatusOfEverythingIsForReadersAndAdministrators) {
  const auto status_of = [&](uid_t uid) {
    const Disguise disguise(uid);
    const auto client = client::Client::connect({.socket_path = daemon_->socket_path()});
    return client.ok() ? (*client)->status_json().value() : client.error().text;
  };
  EXPECT_TRUE(contains(status_of(kReader), R"("scope":"all")"));
  for (const uid_t uid : {kClient, kMeter}) {
    EXPECT_TRUE(contains(status_of(uid), R"("scope":"own")"));
    EXPECT_FALSE(contains(status_of(uid), "uid:" + std::to_string(kReader))) << "Law 13";
  }
}

// Every figure that a client can be shown, in both forms, before others work and after: nothing of
// it moves, and no time of a request is among it.
TEST_F(Roles, Law13_NoFigureOfAStrangersMovesWithWhatOthersDo) {
  std::unique_ptr<client::Client> stranger;
  {
    const Disguise disguise(kClient);
    stranger = daemon_->connect("stranger");
  }
  const auto shown = [&] {
    return stranger->status_json().value() +
           stranger->status_text(model::StatusFormat::kPrometheus).value();
  };
  const std::string before = shown();
  {
    const auto owner = daemon_->connect("owner");
    const auto session = committed_session(*owner, 1);
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(hits_bit_exactly(*session));
    EXPECT_EQ(shown(), before) << "while they work";
  }
  EXPECT_EQ(shown(), before);
  for (const char* part : {"duration", "_bucket", "uid:0", "uid=\"0\"", "hit_tokens", "lookup"}) {
    EXPECT_FALSE(contains(before, part)) << part;
  }
  EXPECT_TRUE(contains(before, "uid:" + std::to_string(kClient)));
  EXPECT_TRUE(contains(daemon_->connect()->status_text(model::StatusFormat::kPrometheus).value(),
                       "quire_request_duration_seconds_bucket"))
      << "which is there for those who may see it";
}

TEST_F(Roles, WhatWasRefusedIsInTheAuditLogWithWhoAndWhat) {
  {
    const Disguise disguise(kReader);
    const auto client = client::Client::connect({.socket_path = daemon_->socket_path()});
    ASSERT_TRUE(client.ok());
    EXPECT_EQ((*client)->set_policy(model::TierId::kRam, "arc").code(), Errc::kPermissionDenied);
    EXPECT_EQ((*client)->policy_json().code(), Errc::kOk);
  }
  EXPECT_EQ(daemon_->stop(), 0);  // its log is whole
  const std::string lines = log_lines();
  EXPECT_TRUE(contains(lines, "audit=denied uid=" + std::to_string(kReader) +
                                  " pid=" + std::to_string(::getpid()) +
                                  " verb=policy action=set role=administrator tier=ram domain=* "
                                  "policy=arc"))
      << lines;
  EXPECT_FALSE(contains(lines, "audit=change")) << lines;
  daemon_->start();
}

TEST_F(Roles, ChangesStandInTheLogWhateverStrangersAreRefused) {
  {
    const Disguise disguise(kClient);
    const auto client = client::Client::connect({.socket_path = daemon_->socket_path()});
    ASSERT_TRUE(client.ok());
    for (int i = 0; i < 100; ++i) EXPECT_EQ((*client)->evict(0).code(), Errc::kPermissionDenied);
  }
  const auto administrator = daemon_->connect();
  for (int i = 0; i < 50; ++i) {
    const std::string policy = i % 2 == 0 ? "arc" : "lru";
    EXPECT_TRUE(eventually([&] {  // kBusy: the switch before is under way
      return administrator->set_policy(model::TierId::kRam, policy).ok();
    }));
  }
  EXPECT_EQ(daemon_->stop(), 0);
  const std::string lines = log_lines();
  const auto count = [&](const std::string& part) {
    size_t found = 0;
    for (size_t at = lines.find(part); at != lines.npos; at = lines.find(part, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("audit=change uid=0 "), 50u);
  EXPECT_EQ(count("from=arc to=lru"), 25u);
  EXPECT_LE(count("audit=denied "), 40u) << "20 in 10 s, and there may be two such";
  EXPECT_GE(count("audit=denied "), 20u);
  daemon_->start();
}

// Nobody hides what is done by asking for a quiet log first.
TEST_F(Roles, AQuietLogStillTellsWhoChangedAndWhoWasRefused) {
  EXPECT_EQ(daemon_->stop(), 0);
  daemon_ = std::make_unique<DaemonProcess>(
      DaemonProcess::Options{.flags = {"--log_level=error"}, .log_path = log_path_});
  {
    const Disguise disguise(kClient);
    const auto client = client::Client::connect({.socket_path = daemon_->socket_path()});
    ASSERT_TRUE(client.ok());
    EXPECT_EQ((*client)->evict(0).code(), Errc::kPermissionDenied);
  }
  EXPECT_TRUE(daemon_->connect()->set_policy(model::TierId::kRam, "arc").ok());
  EXPECT_EQ(daemon_->stop(), 0);
  const std::string lines = log_lines();
  EXPECT_TRUE(contains(lines, "audit=denied uid=" + std::to_string(kClient))) << lines;
  EXPECT_TRUE(contains(lines, "audit=change uid=0 ")) << lines;
  daemon_->start();
}

TEST(RoleFlags, AreReadAgainAtSighup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be asked by another uid";
  const std::string path = testing::TempDir() + "quired-roles-flags-" + std::to_string(::getpid());
  std::ofstream(path) << "--reader_uids=\n";
  DaemonProcess daemon({.flags = {"--flagfile=" + path}});
  std::unique_ptr<client::Client> client;
  {
    const Disguise disguise(kReader);
    client = daemon.connect();
  }
  EXPECT_EQ(client->policy_json().code(), Errc::kPermissionDenied);
  std::ofstream(path) << "--reader_uids=" << kReader << "\n";
  EXPECT_EQ(::kill(daemon.pid(), SIGHUP), 0);
  EXPECT_TRUE(eventually([&] { return client->policy_json().ok(); })) << "on the same connection";
  std::filesystem::remove(path);
}

TEST(RoleFlags, NameUsersByNumberAndNameAndGroups) {
  const auto check = [](const std::string& value) {
    return run_program("quired", {"--check_config", "--reader_uids=" + value});
  };
  EXPECT_EQ(check("0,root,@root,@0,60001").exit_code, 0);
  for (const std::string wrong : {"no-such-user", "@no-such-group", "-1", "4294967295", "@"}) {
    const Output output = check("root," + wrong);
    EXPECT_EQ(output.exit_code, 2) << wrong;
    EXPECT_TRUE(contains(output.text, "--reader_uids: \"" + wrong + "\"")) << output.text;
  }
  EXPECT_EQ(run_program("quired", {"--check_config", "--meter_uids=nobody-at-all"}).exit_code, 2);
}

}  // namespace quire::tests::roles_test
