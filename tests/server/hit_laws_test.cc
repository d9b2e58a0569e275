// Laws 1 to 4: what a hit is. Each runs a real daemon and the real client library.
#include <gtest/gtest.h>

#include "tests/support/oracle.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::hit_laws_test {

using client::Session;
using model::Errc;
using model::FillKind;
using model::MatchLimit;

namespace {

constexpr uint32_t kTokens = 40;  // five blocks of 8; last resume point of 41 tokens is 40

std::unique_ptr<Session> session_with(client::Client& client, const client::SessionOptions& options,
                                      uint64_t context, uint32_t tokens = kTokens + 1) {
  auto session = open_session(client, options);
  QUIRE_CHECK(session->append_tokens(context_tokens(tokens, context)).ok());
  return session;
}

uint32_t hit_tokens(Session& session, uint32_t prompt = kTokens + 1) {
  const auto match = session.match(prompt);
  QUIRE_CHECK(match.ok());
  if (match->lease != 0) QUIRE_CHECK(session.release(match->lease).ok());
  return match->exact_tokens;
}

}  // namespace

TEST(Laws, Law01_HitIsBitExactForItsFullKey) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  const auto writer = session_with(*client, options, 1);
  ASSERT_TRUE(commit_context(*writer, kTokens + 1).ok());

  const auto reader = session_with(*client, options, 1);
  const auto match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, kTokens);
  EXPECT_EQ(match->limit, static_cast<uint8_t>(MatchLimit::kEndOfPrompt));
  EXPECT_EQ(check_hit(*reader, *match), 5 + 2);  // five spans, a window and a state page

  // One part of the key at a time.
  EXPECT_EQ(hit_tokens(*session_with(*client, options, 2)), 0u) << "other tokens";
  auto other = options;
  other.namespace_name = "another-model";
  EXPECT_EQ(hit_tokens(*session_with(*client, other, 1)), 0u) << "other namespace";
  other = options;
  other.salt = "salt";
  EXPECT_EQ(hit_tokens(*session_with(*client, other, 1)), 0u) << "other salt";
  other = options;
  other.layout.groups[0].page_bytes += 2;
  EXPECT_EQ(hit_tokens(*session_with(*client, other, 1)), 0u) << "other layout";
}

TEST(Laws, Law01_DifferentTailGivesThePrefixOnly) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_append_layout());
  const auto writer = session_with(*client, options, 1);
  ASSERT_TRUE(commit_context(*writer, kTokens).ok());

  auto tokens = context_tokens(kTokens + 1, 1);
  tokens[22] ^= 1;  // in the sixth block of four
  const auto reader = open_session(*client, options);
  ASSERT_TRUE(reader->append_tokens(tokens).ok());
  const auto match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 20u);
  EXPECT_EQ(match->limit, static_cast<uint8_t>(MatchLimit::kNoSpan));
  EXPECT_EQ(check_hit(*reader, *match), 5);
}

TEST(Laws, Law02_SpansBecomeVisibleWhole) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_sharded_layout());
  const auto rank0 = session_with(*client, options, 1);
  auto joined = client->join_session(rank0->token(), options);
  ASSERT_TRUE(joined.ok());
  Session& rank1 = **joined;
  ASSERT_TRUE(rank1.append_tokens(context_tokens(kTokens + 1, 1)).ok());

  const auto half = commit_object(*rank0, FillKind::kSpan, 8, 0b000111);
  ASSERT_TRUE(half.ok());
  EXPECT_EQ(half->visible, 0);
  EXPECT_EQ(rank0->progress().committed_tokens, 0u);
  const auto match = rank0->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->span_tokens, 0u) << "a span with one shard's pages only was seen";

  const auto whole = commit_object(rank1, FillKind::kSpan, 8, 0b111000);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->visible, 1);
  EXPECT_EQ(rank0->progress().committed_tokens, 8u);
  EXPECT_EQ(rank1.match(kTokens + 1)->span_tokens, 8u);
}

TEST(Laws, Law02_AbortedFillLeavesNothing) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto session = session_with(*client, session_options(small_hybrid_layout()), 1);
  const auto fill = session->begin_fill(FillKind::kSpan, 8);
  ASSERT_TRUE(fill.ok());
  ASSERT_TRUE(session->abort(*fill).ok());
  EXPECT_EQ(session->match(kTokens + 1)->span_tokens, 0u);
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(d.cache().fill_count(), 0u);
    EXPECT_EQ(inspect(d).usage().slots, 0u);
  });
  EXPECT_EQ(session->commit(*fill).code(), Errc::kNotFound);
}

TEST(Laws, Law03_AnnouncedHitStaysUntilReleased) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  {
    const auto writer = session_with(*client, options, 1);
    ASSERT_TRUE(commit_context(*writer, kTokens + 1).ok());
    ASSERT_TRUE(writer->close().ok());
  }
  const auto reader = session_with(*client, options, 1);
  const auto match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(*client->evict(0), 0u) << "a pinned path was evicted";
  EXPECT_EQ(check_hit(*reader, *match), 7);
  // Another context takes all memory it can get; the announced pages stay what they are.
  const auto crowd = session_with(*client, options, 9, 4096);
  while (commit_object(*crowd, FillKind::kSpan, crowd->progress().committed_tokens + 8).ok() &&
         crowd->progress().committed_tokens < 4088) {
  }
  EXPECT_EQ(check_hit(*reader, *match), 7);
  ASSERT_TRUE(crowd->close().ok());
  ASSERT_TRUE(reader->release(match->lease).ok());
  EXPECT_GT(*client->evict(0), 0u);
  EXPECT_EQ(hit_tokens(*reader), 0u);
}

TEST(Laws, Law04_ChangedPageIsNeverDelivered) {
  auto daemon_options = small_options();
  daemon_options.verify_hits = true;
  TestDaemon daemon(daemon_options);
  const auto client = daemon.connect();
  const auto options = session_options(small_append_layout());
  {
    const auto writer = session_with(*client, options, 1);
    ASSERT_TRUE(commit_context(*writer, kTokens).ok());
    ASSERT_TRUE(writer->close().ok());
  }
  const auto reader = session_with(*client, options, 1);
  auto match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  ASSERT_EQ(check_hit(*reader, *match), 10) << "an intact hit is delivered";
  ASSERT_TRUE(reader->release(match->lease).ok());

  daemon.on_core([&](server::Daemon& d) {  // one bit of the seventh span
    const auto node = inspect(d).find(model::FillKind::kSpan, reader->chain()[6]);
    ASSERT_TRUE(node);
    meddle(d).corrupt(*node, 100);
  });
  match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  const auto loaded = reader->load(match->lease);
  ASSERT_TRUE(loaded.ok()) << "the spans before it are the usable head";
  EXPECT_EQ(loaded->limited_by, Errc::kCorrupt);
  EXPECT_EQ(loaded->block_count, 6u);
  EXPECT_EQ(loaded->pages.size(), 6u);
  ASSERT_TRUE(reader->release(match->lease).ok());
  match = reader->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 24u) << "the page and what depends on it are misses";
  EXPECT_EQ(check_hit(*reader, *match), 6);
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(inspect(d).counters().quarantined, 4u);
    EXPECT_EQ(inspect(d).counters().spans, 6u) << "quarantined pages were given back";
  });
}

TEST(Laws, Law04_ChecksumIsThatOfTheCommittedBytes) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto session = session_with(*client, session_options(small_hybrid_layout()), 1);
  ASSERT_TRUE(commit_context(*session, kTokens + 1).ok());
  const auto match = session->match(kTokens + 1);
  ASSERT_TRUE(match.ok());
  const auto loaded = session->load(match->lease);
  ASSERT_TRUE(loaded.ok());
  for (const client::PageView& page : loaded->pages) EXPECT_TRUE(client::verify_page(page));
  client::PageView wrong = loaded->pages[0];
  wrong.crc32c ^= 1;
  EXPECT_FALSE(client::verify_page(wrong));
}

}  // namespace quire::tests::hit_laws_test
