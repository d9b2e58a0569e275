// `why` over a daemon: each reason of a miss, made by clients as engines make it.
#include <gtest/gtest.h>

#include <string>

#include "model/socket_verbs.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::why_test {
namespace {

using client::Session;
using client::WhyOptions;
using model::Errc;
using model::FillKind;
using model::WhyAction;

constexpr uint32_t kTokens = 33;
constexpr uint64_t kPage = 1 << 20;
constexpr uint32_t kLargeBlocks = 8;  // so that eight contexts fill the RAM

// One page of 1 MiB every four tokens.
model::Layout large_layout() {
  model::Layout layout = small_append_layout();
  layout.name = "large";
  layout.groups[0].page_bytes = kPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kPage}};
  return layout;
}

class WhyTest : public testing::Test {
 protected:
  explicit WhyTest(const server::Options& options = small_options()) : daemon_(options) {}

  std::unique_ptr<Session> open(client::SessionOptions options, uint64_t context,
                                uint32_t tokens = kTokens) {
    options.staging_bytes = 2 * kPage;
    auto session = open_session(*client_, options);
    QUIRE_CHECK(session->append_tokens(context_tokens(tokens, context)).ok());
    return session;
  }
  void write(const client::SessionOptions& options, uint64_t context, uint32_t tokens = kTokens) {
    const auto written = commit_context(*open(options, context, tokens), tokens);
    QUIRE_CHECK(written.ok());
  }
  static client::SessionOptions append() { return session_options(small_append_layout()); }
  static client::SessionOptions hybrid() { return session_options(small_hybrid_layout()); }
  static client::SessionOptions large() { return session_options(large_layout()); }

  // What is said of the turn that this match is.
  std::string why(Session& session, uint32_t prompt_tokens = kTokens) {
    const auto match = session.match(prompt_tokens, 0, {}, ++request_);
    EXPECT_TRUE(match.ok()) << match.error().text;
    EXPECT_TRUE(match->lease == 0 || session.release(match->lease).ok());
    return ask({.action = WhyAction::kRequest, .number = request_});
  }
  std::string ask(const WhyOptions& options) {
    const auto text = client_->why_json(options);
    return text.ok() ? *text : text.error().text;
  }
  // Of what append() wrote: it has no child.
  bool quarantine_the_deepest() {
    daemon_.on_core([](server::Daemon& daemon) {
      for (const model::NodeId node : inspect(daemon).objects()) {
        if (inspect(daemon).object(node).units == 8) meddle(daemon).corrupt(node, 7);
      }
    });
    return client_->verify_json(model::VerifyScope::kMemory).ok() &&
           daemon_.eventually(
               [](server::Daemon& daemon) { return inspect(daemon).counters().quarantined > 0; });
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
  uint64_t request_ = 100;
};

TEST_F(WhyTest, NeverStored) {
  const std::string text = why(*open(append(), 1));
  EXPECT_TRUE(has(text, R"("reason":"never_stored")")) << text;
  EXPECT_TRUE(has(text, R"("from_token":0,"to_token":4)")) << text;
  EXPECT_TRUE(has(text, R"("departures_forgotten":false,"known_since":)")) << text;
  EXPECT_TRUE(has(text, R"("tenant":"tenant","namespace":"model","epoch":0)")) << text;
  EXPECT_TRUE(has(text, R"("prompt_tokens":33,"hit_tokens":0)")) << text;
}

// What was missed is committed after the match, as an engine does: the reason stays what it was.
TEST_F(WhyTest, ReasonIsThatOfTheTimeOfTheMatch) {
  const auto session = open(append(), 1);
  ASSERT_TRUE(has(why(*session), "never_stored"));
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  const std::string text = ask({.action = WhyAction::kRequest, .number = request_});
  EXPECT_TRUE(has(text, R"("reason":"never_stored")")) << text;
}

TEST_F(WhyTest, EvictedByItsPolicyToMakeRoom) {
  write(large(), 1, 4 * kLargeBlocks);
  for (uint64_t context = 2; context < 20; ++context) write(large(), context, 4 * kLargeBlocks);
  const std::string text = why(*open(large(), 1));
  EXPECT_TRUE(has(text, R"("reason":"evicted")")) << text;
  EXPECT_TRUE(has(text, R"("left_cause":"policy","left_tier":"ram","left_policy":"lru")")) << text;
  EXPECT_TRUE(has(text, R"("left_token":4)")) << text;
  ASSERT_TRUE(client_->set_policy(model::TierId::kRam, "sieve").ok());
  for (uint64_t context = 20; context < 40; ++context) write(large(), context, 4 * kLargeBlocks);
  const std::string other = why(*open(large(), 20));
  EXPECT_TRUE(has(other, R"("left_policy":"sieve")")) << other;
}

TEST_F(WhyTest, EvictedByAnOperator) {
  write(append(), 1);
  ASSERT_TRUE(daemon_.is_quiet());
  ASSERT_TRUE(client_->evict(0).ok());
  const std::string next = why(*open(append(), 1));
  EXPECT_TRUE(has(next, R"("reason":"evicted")")) << next;
  EXPECT_TRUE(has(next, R"("left_cause":"operator")")) << next;
  write(append(), 2);
  ASSERT_TRUE(daemon_.is_quiet());
  auto sweep = client_->evict_json(model::EvictAction::kGo);
  while (sweep.ok() && has(*sweep, R"("running":true)")) {
    sweep = client_->evict_json(model::EvictAction::kShow);
  }
  const std::string named = why(*open(append(), 2));
  EXPECT_TRUE(has(named, R"("left_cause":"operator")")) << named;
}

TEST_F(WhyTest, EvictedBecauseItsOwnerHeldAllThatItMay) {
  const client::ScopeOptions own{.domain = std::string(client_->domain()), .tenant = "tenant"};
  ASSERT_TRUE(client_->set_quota(model::TierId::kRam, own, {.burst = 12 * kPage}).ok());
  for (uint64_t context = 1; context < 4; ++context) write(large(), context, 4 * kLargeBlocks);
  const std::string text = why(*open(large(), 1));
  EXPECT_TRUE(has(text, R"("reason":"evicted")")) << text;
  EXPECT_TRUE(has(text, R"("left_cause":"quota")")) << text;
}

TEST_F(WhyTest, QuarantinedByItsChecksum) {
  write(append(), 1);
  ASSERT_TRUE(daemon_.is_quiet());
  ASSERT_TRUE(quarantine_the_deepest());
  const std::string text = why(*open(append(), 1));
  EXPECT_TRUE(has(text, R"("reason":"quarantined")")) << text;
  EXPECT_TRUE(has(text, R"("from_token":28,"to_token":32)")) << text;
  EXPECT_TRUE(has(text, R"("left_cause":"damaged")")) << text;
}

// All was found; what was damaged before the load came is not in it.
TEST_F(WhyTest, NotDeliveredThoughAllWasFound) {
  write(append(), 1);
  const auto session = open(append(), 1);
  const auto match = session->match(kTokens, 0, {}, ++request_);
  ASSERT_TRUE(match.ok());
  ASSERT_EQ(match->exact_tokens, 32u);
  ASSERT_TRUE(quarantine_the_deepest());
  const auto loaded = session->load(match->lease);
  ASSERT_TRUE(loaded.ok()) << loaded.error().text;
  const std::string text = ask({.action = WhyAction::kRequest, .number = request_});
  EXPECT_TRUE(has(text, R"("reason":"not_delivered")")) << text;
  EXPECT_TRUE(has(text, R"("delivered_tokens":28,"undelivered_tokens":4)")) << text;
}

TEST_F(WhyTest, TokensDivergeBehindWhatIsStored) {
  const auto theirs = open_session(*client_, append());
  const auto ours = open_session(*client_, append());
  for (Session* session : {theirs.get(), ours.get()}) {
    ASSERT_TRUE(session->append_tokens(context_tokens(16, 1)).ok());
  }
  ASSERT_TRUE(theirs->append_tokens(context_tokens(16, 2)).ok());
  ASSERT_TRUE(ours->append_tokens(context_tokens(17, 3)).ok());
  ASSERT_TRUE(commit_context(*theirs, 32).ok());
  const std::string text = why(*ours);
  EXPECT_TRUE(has(text, R"("reason":"tokens_diverge")")) << text;
  EXPECT_TRUE(has(text, R"("from_token":16,"to_token":20,"agreed_tokens":16)")) << text;
}

// Units of 4 in blocks of 8: a checkpoint within the block says that its first half is the same.
TEST_F(WhyTest, TokensDivergeBehindACheckpointWithinTheBlock) {
  const auto theirs = open_session(*client_, hybrid());
  const auto ours = open_session(*client_, hybrid());
  for (Session* session : {theirs.get(), ours.get()}) {
    ASSERT_TRUE(session->append_tokens(context_tokens(20, 1)).ok());
  }
  ASSERT_TRUE(theirs->append_tokens(context_tokens(12, 2)).ok());
  ASSERT_TRUE(ours->append_tokens(context_tokens(13, 3)).ok());
  for (const uint32_t end : {8u, 16u, 24u}) {
    ASSERT_TRUE(commit_object(*theirs, FillKind::kSpan, end).ok());
  }
  ASSERT_TRUE(commit_object(*theirs, FillKind::kCheckpoint, 20).ok());
  const std::string text = why(*ours);
  EXPECT_TRUE(has(text, R"("reason":"tokens_diverge")")) << text;
  EXPECT_TRUE(has(text, R"("from_token":16,"to_token":24,"agreed_tokens":20)")) << text;
  EXPECT_TRUE(has(text, R"("hit_tokens":20)")) << text;
}

TEST_F(WhyTest, NoCheckpointThatTheSpansWouldAllow) {
  const auto writer = open(hybrid(), 1, 65);
  for (uint32_t end = 8; end <= 64; end += 8) {
    ASSERT_TRUE(commit_object(*writer, FillKind::kSpan, end).ok());
  }
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 8).ok());
  const std::string text = why(*open(hybrid(), 1, 60), 60);
  EXPECT_TRUE(has(text, R"("reason":"no_checkpoint")")) << text;
  EXPECT_TRUE(has(text, R"("from_token":8,"to_token":56,"lost_tokens":48)")) << text;
  EXPECT_FALSE(has(text, "left_cause")) << text;
}

TEST_F(WhyTest, CheckpointThatALaterOneSuperseded) {
  auto options = hybrid();
  options.conversation = 9;
  options.tail_tokens = 0;
  const auto writer = open(options, 1, 65);
  for (uint32_t end = 8; end <= 64; end += 8) {
    ASSERT_TRUE(commit_object(*writer, FillKind::kSpan, end).ok());
  }
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 52).ok());
  ASSERT_TRUE(commit_object(*writer, FillKind::kCheckpoint, 64).ok());
  const std::string text = why(*open(hybrid(), 1, 60), 60);
  EXPECT_TRUE(has(text, R"("reason":"no_checkpoint")")) << text;
  EXPECT_TRUE(has(text, R"("left_cause":"superseded")")) << text;
  EXPECT_TRUE(has(text, R"("left_token":52)")) << text;
}

TEST_F(WhyTest, GroupsThatAreNotWrittenYetOrNeverWere) {
  const auto options = session_options(small_sharded_layout());
  auto writer = open(options, 1);
  const auto half = commit_object(*writer, FillKind::kSpan, 8, 0b000111);
  ASSERT_TRUE(half.ok() && half->visible == 0);
  const std::string now = why(*writer);
  EXPECT_TRUE(has(now, R"("reason":"group_missing")")) << now;
  EXPECT_TRUE(has(now, R"("groups":"global.1")")) << now;
  EXPECT_FALSE(has(now, "left_cause")) << now;
  writer.reset();
  ASSERT_TRUE(daemon_.is_quiet());
  const std::string later = why(*open(options, 1));
  EXPECT_TRUE(has(later, R"("reason":"group_missing")")) << later;
  EXPECT_TRUE(has(later, R"("groups":"global.1")")) << later;
  EXPECT_TRUE(has(later, R"("left_cause":"incomplete")")) << later;
}

TEST_F(WhyTest, SomebodyIsWritingIt) {
  const auto writer = open(append(), 1);
  const auto fill = writer->begin_fill(FillKind::kSpan, 4);
  ASSERT_TRUE(fill.ok());
  const std::string text = why(*open(append(), 1));
  EXPECT_TRUE(has(text, R"("reason":"being_written")")) << text;
  ASSERT_TRUE(writer->abort(*fill).ok());
}

TEST_F(WhyTest, StoredUnderAnotherEpoch) {
  auto options = append();
  options.weights_epoch = 1;
  const auto old = open(options, 1);
  ASSERT_TRUE(old->match(kTokens, 0, {}, 7).ok());
  ASSERT_TRUE(commit_context(*old, kTokens).ok());
  options.weights_epoch = 2;
  const std::string text = why(*open(options, 1));
  EXPECT_TRUE(has(text, R"("reason":"other_epoch")")) << text;
  EXPECT_TRUE(has(text, R"("other_tenant":"tenant","other_epoch":1)")) << text;
  // The old session asks on: its match fails, and can be explained.
  ASSERT_EQ(old->match(kTokens, 0, {}, 8).code(), Errc::kStaleHandle);
  ASSERT_EQ(old->match(kTokens, 0, {}, 8).code(), Errc::kStaleHandle);
  const std::string stale = ask({.action = WhyAction::kRequest, .number = 8});
  EXPECT_TRUE(has(stale, R"("reason":"other_epoch")")) << stale;
  EXPECT_TRUE(has(stale, R"("present_epoch":2)")) << stale;
}

TEST_F(WhyTest, SweptWithItsEpochItIsStillNamed) {
  auto options = append();
  options.weights_epoch = 1;
  {
    const auto old = open(options, 1);
    ASSERT_TRUE(old->match(kTokens).ok());
    ASSERT_TRUE(commit_context(*old, kTokens).ok());
  }
  options.weights_epoch = 2;
  const auto session = open(options, 1);
  ASSERT_TRUE(daemon_.eventually(
      [](server::Daemon& daemon) { return inspect(daemon).counters().spans == 0; }));
  const std::string text = why(*session);
  EXPECT_TRUE(has(text, R"("reason":"other_epoch")")) << text;
  EXPECT_TRUE(has(text, R"("other_present":false,"left_cause":"epoch")")) << text;
}

TEST_F(WhyTest, StoredForAnotherTenantOfTheSameUser) {
  const auto theirs = open(session_options(small_append_layout(), "model", "a"), 1);
  ASSERT_TRUE(theirs->match(kTokens).ok());
  ASSERT_TRUE(commit_context(*theirs, kTokens).ok());
  const std::string text = why(*open(session_options(small_append_layout(), "model", "b"), 1));
  EXPECT_TRUE(has(text, R"("reason":"tenant_differs")")) << text;
  EXPECT_TRUE(has(text, R"("other_tenant":"a","other_epoch":0,"other_present":true)")) << text;
  const std::string other = why(*open(session_options(small_append_layout(), "model", "b"), 2));
  EXPECT_TRUE(has(other, R"("reason":"never_stored")")) << "another content: " << other;
  const std::string space = why(*open(session_options(small_append_layout(), "else", "b"), 1));
  EXPECT_TRUE(has(space, R"("reason":"never_stored")")) << "another namespace: " << space;
}

TEST_F(WhyTest, AskedOfAnotherTenantButNeverStoredThere) {
  const auto theirs = open(session_options(small_append_layout(), "model", "a"), 1);
  ASSERT_TRUE(theirs->match(kTokens).ok());
  const std::string text = why(*open(session_options(small_append_layout(), "model", "b"), 1));
  EXPECT_TRUE(has(text, R"("reason":"never_stored")")) << text;
}

TEST_F(WhyTest, StoredForAnotherSalt) {
  auto options = append();
  options.salt = "one";
  const auto theirs = open(options, 1);
  ASSERT_TRUE(theirs->match(kTokens).ok());
  ASSERT_TRUE(commit_context(*theirs, kTokens).ok());
  options.salt = "two";
  const std::string text = why(*open(options, 1));
  EXPECT_TRUE(has(text, R"("reason":"salt_differs")")) << text;
  EXPECT_FALSE(has(text, "one")) << "a salt may be a secret: " << text;
}

TEST_F(WhyTest, StoredInAnotherLayout) {
  model::Layout theirs_layout = small_append_layout();
  theirs_layout.groups[0].name = "other";
  const auto theirs = open(session_options(theirs_layout), 1);
  ASSERT_TRUE(theirs->match(kTokens).ok());
  ASSERT_TRUE(commit_context(*theirs, kTokens).ok());
  const std::string text = why(*open(append(), 1));
  EXPECT_TRUE(has(text, R"("reason":"layout_differs")")) << text;
}

TEST_F(WhyTest, NothingMissedAndNothingThatCouldBeHit) {
  write(append(), 1);
  const auto session = open(append(), 1);
  const auto match = session->match(kTokens, 0, {}, 5);
  ASSERT_TRUE(match.ok());
  ASSERT_GT(check_hit(*session, *match), 0);
  const std::string text = ask({.action = WhyAction::kRequest, .number = 5});
  EXPECT_TRUE(has(text, R"("reason":"nothing_missed")")) << text;
  EXPECT_TRUE(has(text, R"("hit_tokens":32,"span_tokens":32,"hit_ram_tokens":32)")) << text;
  EXPECT_TRUE(has(text, R"("delivered_tokens":32,"undelivered_tokens":0)")) << text;
  const std::string tiny = why(*open(append(), 1), 3);
  EXPECT_TRUE(has(tiny, R"("reason":"too_short")")) << tiny;
}

// A checkpoint can lie within the first block, so that block's end is not what it was too short
// for.
TEST_F(WhyTest, PromptBelowABlockLacksACheckpointWhereThereAreSome) {
  const std::string none = why(*open(hybrid(), 1), 6);
  EXPECT_TRUE(has(none, R"("reason":"no_checkpoint")")) << none;
  EXPECT_TRUE(has(none, R"("from_token":0,"to_token":4)")) << none;
  const std::string tiny = why(*open(hybrid(), 1), 4);
  EXPECT_TRUE(has(tiny, R"("reason":"too_short")")) << tiny;
}

TEST_F(WhyTest, TurnsAreFoundBySessionTurnTenantAndAge) {
  const auto session = open(append(), 1);
  for (const uint64_t request : {11, 12}) ASSERT_TRUE(session->match(kTokens, 0, {}, request).ok());
  const std::string last = ask({});
  ASSERT_TRUE(has(last, R"("request_id":12)")) << last;
  const size_t at = last.find(R"("session":)");
  ASSERT_NE(at, std::string::npos);
  const uint64_t number = std::stoull(last.substr(at + 10));
  EXPECT_TRUE(has(ask({.action = WhyAction::kSession, .number = number}), R"("request_id":12)"));
  EXPECT_TRUE(
      has(ask({.action = WhyAction::kSession, .number = number, .turn = 1}), R"("request_id":11)"));
  ASSERT_TRUE(open(session_options(small_append_layout(), "model", "b"), 1)
                  ->match(kTokens, 0, {}, 13)
                  .ok());
  EXPECT_TRUE(has(ask({}), R"("request_id":13)"));
  EXPECT_TRUE(has(ask({.scope = {.domain = "", .tenant = "tenant"}}), R"("request_id":12)"));
  EXPECT_TRUE(has(ask({.scope = {.domain = std::string(client_->domain()), .tenant = {}}}),
                  R"("request_id":13)"));
}

TEST_F(WhyTest, RefusesWhatMakesNoSense) {
  const auto code = [&](const WhyOptions& options) { return client_->why_json(options).code(); };
  EXPECT_EQ(code({}), Errc::kNotFound) << "nobody asked anything";
  ASSERT_TRUE(open(append(), 1)->match(kTokens).ok());
  EXPECT_EQ(code({}), Errc::kOk);
  EXPECT_EQ(code({.action = WhyAction::kRequest, .number = 4242}), Errc::kNotFound);
  EXPECT_EQ(code({.scope = {.domain = "uid:4242", .tenant = {}}}), Errc::kNotFound);
  EXPECT_EQ(code({.scope = {.domain = "somebody", .tenant = {}}}), Errc::kInvalidArgument);
  EXPECT_EQ(code({.action = static_cast<WhyAction>(9)}), Errc::kInvalidArgument);
}

client::WhyPrompt prompt_of(const model::Layout& layout, const std::string& tenant,
                            uint64_t context) {
  return {.names = {.layout = layout, .tenant = tenant, .namespace_name = "model"},
          .tokens = context_tokens(kTokens, context)};
}

TEST_F(WhyTest, PromptIsExplainedAsThingsAreNow) {
  const auto about = [&](const std::string& tenant, uint64_t context) {
    const auto text = client_->why_prompt_json(prompt_of(small_append_layout(), tenant, context));
    return text.ok() ? *text : text.error().text;
  };
  const std::string none = about("a", 1);
  EXPECT_TRUE(has(none, R"("reason":"never_stored")")) << none;
  {
    const auto session = open(session_options(small_append_layout(), "model", "a"), 1);
    ASSERT_TRUE(session->match(kTokens).ok());
    ASSERT_TRUE(commit_context(*session, kTokens).ok());
  }
  const std::string whole = about("a", 1);
  EXPECT_TRUE(has(whole, R"("reason":"nothing_missed")")) << whole;
  EXPECT_TRUE(has(whole, R"("prompt_tokens":33,"hit_tokens":32)")) << whole;
  EXPECT_FALSE(has(whole, "session")) << "it is no turn: " << whole;
  const std::string other = about("b", 1);
  EXPECT_TRUE(has(other, R"("reason":"tenant_differs")")) << other;
  ASSERT_TRUE(daemon_.is_quiet());
  ASSERT_TRUE(client_->evict(0).ok());
  const std::string gone = about("a", 1);
  EXPECT_TRUE(has(gone, R"("reason":"evicted")")) << "its root is forgotten: " << gone;
  EXPECT_TRUE(has(gone, R"("left_cause":"operator")")) << gone;
}

TEST_F(WhyTest, PromptThatIsNotWholeIsRefused) {
  client::WhyPrompt prompt = prompt_of(small_append_layout(), "a", 1);
  prompt.tokens.clear();
  EXPECT_EQ(client_->why_prompt_json(prompt).code(), Errc::kInvalidArgument);
  prompt.tokens.assign(4 * (model::kMaxFrameBytes / 32), 1);
  EXPECT_EQ(client_->why_prompt_json(prompt).code(), Errc::kInvalidArgument) << "too long";
  prompt.tokens = {1, 2};
  const auto tiny = client_->why_prompt_json(prompt);
  ASSERT_TRUE(tiny.ok()) << tiny.error().text;
  EXPECT_TRUE(has(*tiny, R"("reason":"too_short")")) << *tiny;
  RawClient raw(daemon_.socket_path());
  model::WhyRequest request;
  request.action = static_cast<uint8_t>(WhyAction::kPrompt);
  request.domain = model::to_wire_name(client_->domain()).value();
  model::WhyPromptRequest given;
  given.prompt_tokens = 8;
  given.unit_tokens = 4;
  given.block_units = 1;
  given.unit_count = 2;  // and none follow
  const std::string head(model::struct_bytes(request));
  const auto code = [&](const std::string& payload) {
    raw.send(model::FrameType::kWhy, payload);
    return static_cast<Errc>(model::read_struct<model::ReplyStatus>(raw.receive())->code);
  };
  EXPECT_EQ(code(head + std::string(model::struct_bytes(given))), Errc::kInvalidArgument);
  given.unit_count = 0;
  given.unit_tokens = 0;
  EXPECT_EQ(code(head + std::string(model::struct_bytes(given))), Errc::kInvalidArgument);
}

server::Options without_memory() {
  server::Options options = small_options();
  options.why_bytes = 0;
  return options;
}

class ForgetfulWhyTest : public WhyTest {
 protected:
  ForgetfulWhyTest() : WhyTest(without_memory()) {}
};

TEST_F(ForgetfulWhyTest, RemembersNothingWhereItIsTold) {
  ASSERT_TRUE(open(append(), 1)->match(kTokens).ok());
  const auto text = client_->why_json();
  EXPECT_EQ(text.code(), Errc::kNotFound);
  EXPECT_TRUE(has(text.error().text, "--why_memory")) << text.error().text;
  daemon_.on_core([](server::Daemon& daemon) { EXPECT_EQ(daemon.cache().departures(), nullptr); });
}

}  // namespace
}  // namespace quire::tests::why_test
