// Events as programs hear them, of the real daemon: quirectl, two users, subscribers that are
// killed or stopped.
#include <grp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "client/quirectl/routing/event_text.h"
#include "model/hex_text.h"
#include "model/layout_toml.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::events_process_test {

namespace {

using client::Client;
using model::Errc;

constexpr uid_t kStranger = 65534;
constexpr uint32_t kTokens = 33;  // eight spans and a token

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++count;
  return count;
}

void write_context(Client& client, uint64_t context) {
  const auto session = open_session(client, session_options(small_append_layout()));
  QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
  QUIRE_CHECK(commit_context(*session, kTokens).ok());
}

void become_another() {
  QUIRE_CHECK(::setgroups(0, nullptr) == 0 && ::setgid(kStranger) == 0 && ::setuid(kStranger) == 0);
}

class EventsProcess : public testing::Test {
 protected:
  Output quirectl(const std::vector<std::string>& arguments) const {
    std::vector<std::string> line{"--socket=" + daemon_.socket_path()};
    line.insert(line.end(), arguments.begin(), arguments.end());
    return run_program("quirectl", line);
  }
  void open_to_all() const {
    std::filesystem::permissions(daemon_.directory(), std::filesystem::perms::others_exec |
                                                          std::filesystem::perms::owner_all);
    std::filesystem::permissions(daemon_.socket_path(), std::filesystem::perms::all);
  }

  DaemonProcess daemon_{{.flags = {kNoGhosts}}};
  std::unique_ptr<Client> client_ = daemon_.connect();
};

TEST_F(EventsProcess, TailPrintsWhatIsHeldAndWhatHappens) {
  write_context(*client_, 1);
  const Output held = quirectl({"events", "tail", "--until_snapshot"});
  EXPECT_EQ(held.exit_code, 0) << held.text;
  EXPECT_EQ(count_of(held.text, "  held "), 8u) << held.text;
  EXPECT_TRUE(has(held.text, "tenant model/0")) << held.text;
  const Output json = quirectl({"events", "tail", "--until_snapshot", "-o", "json"});
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_EQ(count_of(json.text, "\"schema\":\"quire.event.v1\""), count_of(json.text, "\n"));
  EXPECT_EQ(count_of(json.text, "\"kind\":\"held\""), 8u) << json.text;
  EXPECT_TRUE(has(json.text, "\"namespace\":\"model\"")) << json.text;
  // The hash of the first block is the one that the engine's library has.
  const auto session = open_session(*client_, session_options(small_append_layout()));
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, 1)).ok());
  EXPECT_TRUE(has(json.text, "\"hash\":\"" + model::hex_text(session->chain()[0].bytes) + "\""));
  EXPECT_EQ(quirectl({"events", "tail", "--after", "12"}).exit_code, 2);
  EXPECT_EQ(
      quirectl({"events", "tail", "--after", "1:1", "--count", "1", "--until_snapshot"}).exit_code,
      6)
      << "a gap: of another daemon";
}

TEST_F(EventsProcess, LocateTakesTokensOrHashesFromAFile) {
  write_context(*client_, 1);
  const std::string layout = daemon_.directory() + "/layout.toml";
  std::ofstream(layout) << model::layout_to_toml(small_append_layout());
  const std::string tokens = daemon_.directory() + "/tokens";
  std::ofstream file(tokens);
  for (const uint32_t token : context_tokens(64, 1)) file << token << ", ";
  file.close();
  const std::vector<std::string> names{"locate", "--layout", layout,   "--namespace",
                                       "model",  "--tenant", "tenant", "--tokens"};
  auto line = names;
  line.push_back(tokens);
  const Output table = quirectl(line);
  EXPECT_EQ(table.exit_code, 0) << table.text;
  EXPECT_TRUE(has(table.text, "held_tokens       32\n")) << table.text;
  EXPECT_TRUE(has(table.text, "asked_tokens      64\n")) << table.text;
  line.insert(line.end(), {"-o", "json"});
  const Output json = quirectl(line);
  EXPECT_TRUE(has(json.text, "\"known\":true")) << json.text;
  EXPECT_TRUE(has(json.text, "\"ram_tokens\":32,")) << json.text;
  line[4] = "other";
  EXPECT_EQ(quirectl(line).exit_code, 5) << "nothing is known of that namespace";
  std::ofstream(tokens) << "1 2 x3";
  line[4] = "model";
  const Output wrong = quirectl(line);
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_TRUE(has(wrong.text, "\"x3\" is no token id")) << wrong.text;
  EXPECT_EQ(quirectl({"locate", "--layout", layout, "--namespace", "m"}).exit_code, 2);
}

// Law 13: a user hears its own domain; of another one it is told nothing, not even by locate, whose
// roots it can compute.
TEST_F(EventsProcess, Law13_UserHearsItsOwnDomainAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs a second uid";
  write_context(*client_, 1);
  open_to_all();
  const std::string owner(client_->domain());
  TestProcess stranger = TestProcess::call([&](Channel&) {
    become_another();
    ChildChecks checks;
    const auto client = daemon_.connect("stranger");
    checks.expect(client->subscribe_events({.everything = true}).code() == Errc::kPermissionDenied,
                  "everybody's events are refused");
    const auto stream =
        client->subscribe_events({.snapshot = model::EventSnapshot::kAtOnce}).value();
    write_context(*client, 2);
    size_t own = 0;
    while (own < 8) {
      const auto events = stream->poll(10'000);
      if (!events.ok() || events->empty()) break;
      for (const client::Event& event : *events) {
        if (event.kind == model::EventKind::kStored) ++own;
        checks.expect(event.record->uid == 0 || event.record->uid == kStranger, "a foreign uid");
        checks.expect(event.kind != model::EventKind::kGap, "a gap where others did something");
      }
    }
    checks.expect(own == 8, "its own are told");
    client::ChainNames names;
    names.layout = small_append_layout();
    names.tenant = "tenant";
    names.namespace_name = "model";
    const auto tokens = context_tokens(kTokens, 1);
    checks.expect(client->locate(names, tokens)->span_tokens == 0, "its own tree has none of it");
    names.domain = owner;
    const auto foreign = client->locate(names, tokens);
    checks.expect(foreign.ok() && !foreign->known, "a foreign root is not known");
    return checks.failures();
  });
  EXPECT_EQ(stranger.wait(), 0);
  client::ChainNames names;
  names.layout = small_append_layout();
  names.tenant = "tenant";
  names.namespace_name = "model";
  names.domain = "uid:" + std::to_string(kStranger);
  EXPECT_EQ(client_->locate(names, context_tokens(kTokens, 2))->span_tokens, 32u)
      << "an administrator may ask";
}

TEST_F(EventsProcess, KilledAndStoppedSubscribersCostNobodyAnything) {
  const auto files_before = daemon_.status().files_in_use();
  const auto tail = [&] {
    return TestProcess::exec({program_path("quirectl"), "--socket=" + daemon_.socket_path(),
                              "events", "tail", "--snapshot"},
                             {});
  };
  TestProcess killed = tail();
  TestProcess stopped = tail();
  EXPECT_TRUE(daemon_.eventually([](const DaemonStatus& status) { return status.connected >= 4; }));
  killed.signal(SIGKILL);
  stopped.signal(SIGSTOP);
  EXPECT_TRUE(stopped.wait_stopped());
  for (uint64_t context = 1; context <= 20; ++context) write_context(*client_, context);
  EXPECT_EQ(killed.wait(), -SIGKILL);
  stopped.signal(SIGKILL);
  EXPECT_EQ(stopped.wait(), -SIGKILL);
  EXPECT_TRUE(daemon_.eventually(
      [&](const DaemonStatus& status) { return status.files_in_use() <= files_before; }));
}

}  // namespace

}  // namespace quire::tests::events_process_test
