// quirectl why on the real daemon, and what a user may learn by it of another one.
#include <grp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "model/chain_hash.h"
#include "model/layout_toml.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::why_process_test {

namespace {

using client::Client;
using model::Errc;
using model::WhyAction;

constexpr int kUsage = 2;
constexpr int kNotFound = 5;
constexpr uid_t kStranger = 65534;
constexpr uint64_t kContext = 1;
constexpr uint64_t kOwnersRequest = 4711;
constexpr uint64_t kStrangersRequest = 4712;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void ask(Client& client, uint64_t request, const std::string& tenant) {
  const auto session =
      open_session(client, session_options(small_hybrid_layout(), "model", tenant));
  ASSERT_TRUE(session->append_tokens(context_tokens(kPromptTokens, kContext)).ok());
  ASSERT_TRUE(session->match(kPromptTokens, 0, {}, request).ok());
}

client::WhyPrompt owners_prompt() {
  return {.names = {.layout = small_hybrid_layout(),
                    .domain = "uid:0",
                    .tenant = "tenant",
                    .namespace_name = "model"},
          .tokens = context_tokens(kPromptTokens, kContext)};
}

// The owner's prompt, asked for by its name, and by its hashes under the asker's own name.
void check_prompts(const std::string& socket_path, Client& client, ChildChecks& checks) {
  const client::WhyPrompt prompt = owners_prompt();
  checks.expect(client.why_prompt_json(prompt).code() == Errc::kPermissionDenied,
                "prompts of others are refused");
  model::WhyRequest request;
  request.action = static_cast<uint8_t>(WhyAction::kPrompt);
  request.domain = model::to_wire_name("uid:" + std::to_string(kStranger)).value();
  request.tenant = model::to_wire_name("tenant").value();
  model::WhyPromptRequest given;
  given.layout_digest = model::layout_digest(prompt.names.layout);
  given.namespace_name = model::to_wire_name("model").value();
  const model::Hash256 owners_root = model::root_hash({.domain = "uid:0",
                                                       .tenant = "tenant",
                                                       .namespace_name = "model",
                                                       .layout_digest = given.layout_digest});
  std::vector<model::Hash256> chain;
  model::extend_chain(owners_root, prompt.tokens, prompt.names.layout.unit_tokens, chain);
  given.prompt_tokens = kPromptTokens;
  given.unit_tokens = prompt.names.layout.unit_tokens;
  given.block_units = prompt.names.layout.units_per_block();
  given.unit_count = static_cast<uint32_t>(chain.size());
  std::string payload(model::struct_bytes(request));
  payload += model::struct_bytes(given);
  payload.append(reinterpret_cast<const char*>(chain.data()), chain.size() * sizeof(chain[0]));
  RawClient raw(socket_path);
  raw.send(model::FrameType::kWhy, payload);
  const std::string answer = raw.receive();
  checks.expect(contains(answer, R"("reason":"never_stored")") &&
                    contains(answer, R"("hit_tokens":0,"span_tokens":0)"),
                "hashes of others' find nothing");
}

// Each as the user that it says; nothing of one is known to the other.
void check_stranger(const std::string& socket_path, ChildChecks& checks) {
  checks.expect(
      ::setgroups(0, nullptr) == 0 && ::setgid(kStranger) == 0 && ::setuid(kStranger) == 0,
      "the uid changes");
  auto connected = Client::connect({.socket_path = socket_path, .client_name = "stranger"});
  QUIRE_CHECK(connected.ok());
  Client& client = **connected;
  checks.expect(client.why_json().code() == Errc::kNotFound, "others' turns are none");
  const auto owners = client.why_json({.action = WhyAction::kRequest, .number = kOwnersRequest});
  const auto nobodys = client.why_json({.action = WhyAction::kRequest, .number = 1});
  checks.expect(owners.code() == Errc::kNotFound && nobodys.code() == Errc::kNotFound &&
                    owners.error().text == nobodys.error().text,
                "a turn of another user is as one that never was");
  const auto by_name = client.why_json({.scope = {.domain = "uid:0", .tenant = {}}});
  checks.expect(by_name.code() == Errc::kNotFound, "nor by its name");
  check_prompts(socket_path, client, checks);
  // The same prompt, which the owner stored, for a tenant of the same name.
  ask(client, kStrangersRequest, "tenant");
  const auto own = client.why_json();
  checks.expect(own.ok() && contains(*own, R"("reason":"never_stored")"),
                "what others stored is never stored");
  checks.expect(own.ok() && !contains(*own, "other_"), "and nobody else is named");
}

}  // namespace

TEST(Quirectl, WhyTellsAUserNothingOfAnotherAndAnAdministratorAll) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be a second uid";
  DaemonProcess daemon({.ram_mib = 128});  // each domain has segments of its own
  const auto client = daemon.connect("owner");
  ask(*client, kOwnersRequest, "tenant");
  const auto session = committed_session(*client, kContext);
  TestProcess stranger = TestProcess::call([&](Channel&) {
    ChildChecks checks;
    check_stranger(daemon.socket_path(), checks);
    return checks.failures();
  });
  EXPECT_EQ(stranger.wait(), 0);
  const auto all = client->why_json({.action = WhyAction::kRequest, .number = kStrangersRequest});
  ASSERT_TRUE(all.ok()) << all.error().text;
  EXPECT_TRUE(contains(*all, R"("reason":"tenant_differs")")) << *all;
  EXPECT_TRUE(contains(*all, R"("other_domain":"uid:0","other_tenant":"tenant")")) << *all;
  const auto prompt = client->why_prompt_json(owners_prompt());
  ASSERT_TRUE(prompt.ok());
  EXPECT_TRUE(contains(*prompt, R"("reason":"nothing_missed")")) << *prompt;
}

TEST(Quirectl, WhyAnswersInWordsAndAsJson) {
  DaemonProcess daemon;
  const auto client = daemon.connect();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket=" + daemon.socket_path(), "why"});
    return run_program("quirectl", arguments);
  };
  EXPECT_EQ(run({"--last"}).exit_code, kNotFound);
  ask(*client, kOwnersRequest, "tenant");
  const Output words = run({"--request", std::to_string(kOwnersRequest)});
  EXPECT_EQ(words.exit_code, 0) << words.text;
  EXPECT_TRUE(contains(words.text, "asked      request 4711, turn 1 of session ")) << words.text;
  EXPECT_TRUE(contains(words.text, "tokens 0 to 7 were never stored")) << words.text;
  const Output json = run({"--last", "--tenant", "tenant", "-o", "json"});
  EXPECT_EQ(json.exit_code, 0) << json.text;
  EXPECT_TRUE(contains(json.text, R"({"schema":"quire.why.v1","reason":"never_stored","facts":{)"))
      << json.text;
  EXPECT_EQ(run({"--last", "--tenant", "nobody"}).exit_code, kNotFound);
  const std::string stem = daemon.directory() + "/why";
  std::ofstream(stem + ".tokens") << "[1, 2, 3, 4, 5, 6, 7, 8, 9]\n";
  std::ofstream(stem + ".toml") << model::layout_to_toml(small_hybrid_layout());
  const Output prompt = run({"--tokens", stem + ".tokens", "--layout", stem + ".toml",
                             "--namespace", "model", "--tenant", "tenant"});
  EXPECT_EQ(prompt.exit_code, 0) << prompt.text;
  EXPECT_TRUE(contains(prompt.text, "9 tokens of prompt")) << prompt.text;
  EXPECT_TRUE(contains(prompt.text, "(never_stored)")) << prompt.text;
  std::ofstream(stem + ".tokens") << "1 two";
  EXPECT_EQ(run({"--tokens", stem + ".tokens", "--layout", stem + ".toml", "--namespace", "model"})
                .exit_code,
            kUsage);
  EXPECT_EQ(run({"--tokens", stem + ".tokens"}).exit_code, kUsage) << "of which layout?";
  EXPECT_EQ(run({"--session", "424242"}).exit_code, kNotFound);
  EXPECT_EQ(run({}).exit_code, kUsage) << "which?";
  EXPECT_EQ(run({"--last", "--request", "1"}).exit_code, kUsage);
  EXPECT_EQ(run({"--turn", "1", "--last"}).exit_code, kUsage) << "of which session?";
}

}  // namespace quire::tests::why_process_test
