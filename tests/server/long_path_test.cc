// A path of thousands of spans is loaded and released over several turns of the core.
#include <gtest/gtest.h>

#include "server/core.h"
#include "tests/support/raw_writer.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::long_path_test {

using client::Session;
using model::Completion;
using model::Errc;
using model::Verb;

namespace {

constexpr uint32_t kSpans = 4096;
constexpr uint32_t kTokens = 4 * kSpans + 1;
constexpr uint64_t kStepsOfATurn = 1024;  // of one uid; a load has two for each of these spans

class LongPathTest : public testing::Test {
 protected:
  uint64_t largest_steps() {
    uint64_t steps = 0;
    daemon_.on_core([&](server::Daemon& daemon) {
      steps = daemon.core().dispatcher().counters().largest_steps;
    });
    return steps;
  }

  TestDaemon daemon_;
};

Errc code_of_next(RawSession& session, Verb verb) {
  const Completion completion = session.wait_completion();
  EXPECT_EQ(completion.verb, static_cast<uint16_t>(verb));
  return code_of(completion);
}

}  // namespace

TEST_F(LongPathTest, Law06_LoadAndReleaseTakeNoMoreThanATurn) {
  const auto client = daemon_.connect();
  auto options = session_options(small_append_layout());
  options.max_tokens = kTokens;
  const auto session = open_session(*client, options);
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, 1)).ok());
  ASSERT_TRUE(commit_context(*session, kTokens).ok());
  for (int round = 0; round < 2; ++round) {
    const auto match = session->match(kTokens);
    ASSERT_TRUE(match.ok());
    for (int load = 0; load < 3; ++load) EXPECT_TRUE(session->load(match->lease).ok());
    EXPECT_EQ(check_hit(*session, *match), static_cast<int>(kSpans));
    ASSERT_TRUE(session->release(match->lease).ok());
    EXPECT_EQ(session->release(match->lease).code(), Errc::kNotFound);
  }
  EXPECT_LE(largest_steps(), kStepsOfATurn + 16);
}

// All are in the ring before the core looks.
TEST_F(LongPathTest, WhatComesBehindALongLoadFindsItDone) {
  RawClient client(daemon_.socket_path());
  RawShape shape;
  shape.max_units = shape.max_load_pages = kSpans;
  RawWriter writer(client, small_append_layout(), shape, 1);
  for (uint32_t end = 1; end <= kSpans; ++end) {
    writer.submit_commit(writer.granted(end));
    ASSERT_EQ(code_of_next(writer.session(), Verb::kCommit), Errc::kOk);
  }
  writer.submit_match(kSpans, kTokens);
  const uint64_t lease = writer.session().wait_completion().result.match.lease;
  daemon_.on_core([&](server::Daemon&) {
    writer.submit_load(lease);
    writer.submit_release(lease);
    writer.submit_load(lease);
    writer.submit_release(lease);
  });
  const Completion loaded = writer.session().wait_completion();
  EXPECT_EQ(loaded.verb, static_cast<uint16_t>(Verb::kLoad));
  EXPECT_EQ(code_of(loaded), Errc::kOk);
  EXPECT_EQ(loaded.result.load.descriptor_count, kSpans);
  EXPECT_EQ(code_of_next(writer.session(), Verb::kRelease), Errc::kOk);
  EXPECT_EQ(code_of_next(writer.session(), Verb::kLoad), Errc::kNotFound);
  EXPECT_EQ(code_of_next(writer.session(), Verb::kRelease), Errc::kNotFound);
}

}  // namespace quire::tests::long_path_test
