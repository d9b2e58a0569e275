// Namespaces over weight epochs, and checkpoints over the turns of a conversation.
#include <gtest/gtest.h>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::conversation_test {

using client::Session;
using model::Errc;
using model::FillKind;

namespace {

constexpr uint32_t kTokens = 81;  // ten blocks of 8; last resume point 80

std::unique_ptr<Session> turn(client::Client& client, client::SessionOptions options,
                              uint64_t conversation, uint32_t tokens = kTokens) {
  options.conversation = conversation;
  auto session = open_session(client, options);
  QUIRE_CHECK(session->append_tokens(context_tokens(tokens, 1)).ok());
  return session;
}

uint64_t checkpoints(TestDaemon& daemon) { return daemon.counters().checkpoints; }

}  // namespace

TEST(NamespaceEpoch, LaterEpochMakesEverythingOlderUnreachableAndGivesItsMemoryBack) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  auto options = session_options(small_hybrid_layout());
  options.weights_epoch = 1;
  const auto old = turn(*client, options, 0);
  ASSERT_TRUE(commit_context(*old, kTokens).ok());
  ASSERT_EQ(old->match(kTokens)->exact_tokens, 80u);

  options.weights_epoch = 2;
  const auto fresh = turn(*client, options, 0);
  EXPECT_EQ(fresh->match(kTokens)->exact_tokens, 0u);
  EXPECT_EQ(old->match(kTokens).code(), Errc::kStaleHandle);
  EXPECT_EQ(old->begin_fill(FillKind::kSpan, 8).code(), Errc::kStaleHandle);
  options.weights_epoch = 1;
  EXPECT_EQ(client->open_session(options).code(), Errc::kStaleHandle);

  // What the old session still leases stays until it lets go; then nothing of that epoch is left.
  daemon.on_core([](server::Daemon& d) { d.cache().check_invariants(); });
  ASSERT_TRUE(old->close().ok());
  EXPECT_TRUE(
      daemon.eventually([](server::Daemon& d) { return inspect(d).counters().spans == 0; }));
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(inspect(d).usage().slots, 0u);
    EXPECT_EQ(d.cache().names().root_count(), 1u) << "the old root was forgotten";
  });
}

TEST(Conversation, NewCheckpointSupersedesThePreviousOneOfTheSameSession) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto session = turn(*client, session_options(small_hybrid_layout()), 0);
  ASSERT_TRUE(commit_context(*session, 41).ok());
  EXPECT_EQ(checkpoints(daemon), 1u);
  for (uint32_t end = 48; end <= 80; end += 8) {
    ASSERT_TRUE(commit_object(*session, FillKind::kSpan, end).ok());
  }
  const auto committed = commit_object(*session, FillKind::kCheckpoint, 80);
  ASSERT_TRUE(committed.ok());
  EXPECT_EQ(committed->superseded, 1);
  EXPECT_EQ(checkpoints(daemon), 1u);
  EXPECT_EQ(session->match(kTokens)->exact_tokens, 80u);
  EXPECT_EQ(session->match(47)->exact_tokens, 0u) << "the earlier one is gone";
}

TEST(Conversation, NextTurnSupersedesOnceItsLeaseIsReleased) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  {
    const auto first = turn(*client, options, 7);
    ASSERT_TRUE(commit_context(*first, 41).ok());
  }
  const auto second = turn(*client, options, 7);
  const auto hit = second->match(kTokens);
  ASSERT_TRUE(hit.ok());
  ASSERT_EQ(hit->exact_tokens, 40u);
  ASSERT_TRUE(commit_context(*second, kTokens).ok());
  EXPECT_EQ(checkpoints(daemon), 2u) << "the leased one stays";
  ASSERT_TRUE(second->release(hit->lease).ok());
  EXPECT_EQ(checkpoints(daemon), 1u);
}

TEST(Conversation, CheckpointThatAnotherConversationResumedIsKept) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  const auto first = turn(*client, options, 7);
  ASSERT_TRUE(commit_context(*first, 41).ok());
  const auto stranger = turn(*client, options, 8);
  const auto hit = stranger->match(kTokens);
  ASSERT_EQ(hit->exact_tokens, 40u);
  ASSERT_TRUE(stranger->release(hit->lease).ok());
  ASSERT_TRUE(commit_context(*first, kTokens).ok());
  EXPECT_EQ(checkpoints(daemon), 2u) << "it is a branch point now";
}

TEST(Conversation, DoneWithIsEvictedFirst) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_append_layout());
  const auto kept = open_session(*client, options);
  ASSERT_TRUE(kept->append_tokens(context_tokens(9, 1)).ok());
  ASSERT_TRUE(commit_context(*kept, 8).ok());
  const auto done = open_session(*client, options);
  ASSERT_TRUE(done->append_tokens(context_tokens(9, 2)).ok());
  ASSERT_TRUE(commit_context(*done, 8).ok());  // used later than the other
  ASSERT_TRUE(done->advise(model::Advice::kDoneWith, 8).ok());
  ASSERT_TRUE(done->close().ok());
  ASSERT_TRUE(kept->close().ok());
  EXPECT_EQ(*client->evict(1), 1u);
  const auto again = open_session(*client, options);
  ASSERT_TRUE(again->append_tokens(context_tokens(9, 1)).ok());
  EXPECT_EQ(again->match(9)->exact_tokens, 8u);
}

// Without an SSD there is nowhere to go: it stays, but is the first to be evicted, also while its
// session is open.
TEST(Conversation, WhatIsPausedIsEvictedFirst) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_append_layout());
  const auto kept = open_session(*client, options);
  ASSERT_TRUE(kept->append_tokens(context_tokens(9, 1)).ok());
  ASSERT_TRUE(commit_context(*kept, 8).ok());
  ASSERT_TRUE(kept->close().ok());
  const auto paused = open_session(*client, options);
  ASSERT_TRUE(paused->append_tokens(context_tokens(9, 2)).ok());
  ASSERT_TRUE(commit_context(*paused, 8).ok());  // used later than the other
  ASSERT_TRUE(paused->advise(model::Advice::kPauseUntil, 8, 60'000).ok());
  const auto hit = paused->match(9);
  ASSERT_EQ(hit->exact_tokens, 8u) << "a hit like any other until then, and a use";
  ASSERT_TRUE(paused->release(hit->lease).ok());
  ASSERT_TRUE(paused->advise(model::Advice::kPauseUntil, 8, 60'000).ok());
  EXPECT_EQ(*client->evict(2), 2u);
  const auto again = open_session(*client, options);
  ASSERT_TRUE(again->append_tokens(context_tokens(9, 1)).ok());
  EXPECT_EQ(again->match(9)->exact_tokens, 8u);
}

TEST(Conversation, AdviceConcernsThePositionItNames) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  const auto older = open_session(*client, options);
  ASSERT_TRUE(older->append_tokens(context_tokens(41, 2)).ok());
  ASSERT_TRUE(commit_context(*older, 41).ok());
  const auto newer = turn(*client, options, 0);
  ASSERT_TRUE(commit_context(*newer, 41).ok());
  ASSERT_TRUE(newer->advise(model::Advice::kDoneWith, 40).ok());
  EXPECT_EQ(*client->evict(1), 1u);
  EXPECT_EQ(older->match(41)->exact_tokens, 40u);
  EXPECT_EQ(newer->match(41)->exact_tokens, 0u) << "its checkpoint, though used last, went first";
}

}  // namespace quire::tests::conversation_test
