// A session's calls against a fake daemon: what comes back, and that nothing is left behind.
#include <poll.h>

#include <filesystem>

#include "model/layout_toml.h"
#include "tests/client/client_fixture.h"
#include "tests/support/patience.h"

namespace quire::client::client_session_test {
namespace {

using model::Completion;
using model::Errc;
using model::FillKind;

class ClientSession : public ClientFixture {
 protected:
  void SetUp() override { start_all(); }

  // Submits nothing; waits until one completion can be polled.
  Completion poll_one() {
    session_->flush();
    EXPECT_TRUE(session_->wait(tests::kPatienceMs).ok());
    Completion completion{};
    EXPECT_EQ(*session_->poll_completions(std::span(&completion, 1)), 1u);
    return completion;
  }
};

TEST_F(ClientSession, WhatWasCommittedIsMatchedAndLoadedByteForByte) {
  store(FillKind::kSpan, 32);
  store(FillKind::kSpan, 64);
  store(FillKind::kCheckpoint, 80);  // cuts a block: holds tail pages
  const auto hit = session_->match(100);
  ASSERT_TRUE(hit.ok());
  EXPECT_EQ(hit->exact_tokens, 80u);
  EXPECT_EQ(hit->span_tokens, 64u);
  const auto loaded = session_->load(hit->lease);
  ASSERT_TRUE(loaded.ok()) << loaded.error().text;
  EXPECT_EQ(loaded->block_count, 2u);
  ASSERT_EQ(loaded->checkpoint_count, 3u);
  ASSERT_EQ(loaded->pages.size(), 7u);
  for (size_t i = 0; i < 4; ++i) expect_page(loaded->pages[i], FillKind::kSpan, i < 2 ? 32 : 64);
  for (size_t i = 4; i < 7; ++i) {
    EXPECT_TRUE(loaded->pages[i].of_checkpoint);
    expect_page(loaded->pages[i], FillKind::kCheckpoint, 80);
  }
  EXPECT_TRUE(session_->release(hit->lease).ok());
  EXPECT_EQ(daemon_->lease_count(), 0u);
}

TEST_F(ClientSession, AMatchThatFindsNothingHasNoLease) {
  const auto hit = session_->match(100);
  ASSERT_TRUE(hit.ok());
  EXPECT_EQ(hit->lease, 0u);
  EXPECT_EQ(session_->load(0).code(), Errc::kNotFound);
}

TEST_F(ClientSession, ADuplicateFillHoldsNoStaging) {
  store(FillKind::kSpan, 32);
  for (int i = 0; i < 100; ++i) {
    const auto fill = session_->begin_fill(FillKind::kSpan, 32);
    ASSERT_TRUE(fill.ok());
    ASSERT_TRUE(fill->duplicate);
    EXPECT_TRUE(session_->commit(*fill)->duplicate);
  }
}

TEST_F(ClientSession, StagingFullIsBusyWithoutACallAndAbortFreesIt) {
  std::vector<Fill> fills;
  auto fill = session_->begin_fill(FillKind::kSpan, 32);
  while (fill.ok()) {
    fills.push_back(std::move(fill).value());
    fill = session_->begin_fill(FillKind::kSpan, 32 * static_cast<uint32_t>(fills.size() + 1));
  }
  EXPECT_EQ(fill.code(), Errc::kBusy);
  EXPECT_EQ(daemon_->fill_count(), fills.size());
  EXPECT_EQ(fills.size(), 65536u / (4096 + 1024));
  ASSERT_TRUE(session_->abort(fills[0]).ok());
  EXPECT_TRUE(session_->begin_fill(FillKind::kSpan, 32).ok());
}

TEST_F(ClientSession, ARefusedCommitLeavesTheFillToBeTriedAgain) {
  const auto fill = session_->begin_fill(FillKind::kSpan, 32);
  write_pages(*fill);
  daemon_->fail_next_commit(Errc::kBusy);
  EXPECT_EQ(session_->commit(*fill).code(), Errc::kBusy);
  EXPECT_TRUE(session_->commit(*fill).ok());
  EXPECT_EQ(session_->commit(*fill).code(), Errc::kNotFound);
}

TEST_F(ClientSession, AFailedCommitEndsTheFillAndFreesItsStaging) {
  for (int i = 0; i < 20; ++i) {  // more than the staging area holds
    const auto fill = session_->begin_fill(FillKind::kSpan, 32);
    ASSERT_TRUE(fill.ok());
    daemon_->fail_next_commit(Errc::kNoParent);
    EXPECT_EQ(session_->commit(*fill).code(), Errc::kNoParent);
    EXPECT_EQ(session_->abort(*fill).code(), Errc::kNotFound);
  }
}

TEST_F(ClientSession, ALeaseIsNotReleasedUnderALoadInFlight) {
  store(FillKind::kSpan, 32);
  const auto hit = session_->match(100);
  daemon_->hold_ring(true);
  ASSERT_TRUE(session_->submit_load(hit->lease).ok());
  EXPECT_EQ(session_->release(hit->lease).code(), Errc::kBusy);
  daemon_->hold_ring(false);
  poll_one();
  EXPECT_TRUE(session_->release(hit->lease).ok());
}

TEST_F(ClientSession, MisuseIsATypedError) {
  store(FillKind::kSpan, 32);
  const auto hit = session_->match(100);
  EXPECT_TRUE(session_->release(hit->lease).ok());
  EXPECT_EQ(session_->release(hit->lease).code(), Errc::kNotFound);
  EXPECT_EQ(session_->load(hit->lease).code(), Errc::kNotFound);
  EXPECT_EQ(session_->release(12345).code(), Errc::kNotFound);
  const auto fill = session_->begin_fill(FillKind::kSpan, 64);
  EXPECT_TRUE(session_->abort(*fill).ok());
  EXPECT_EQ(session_->abort(*fill).code(), Errc::kNotFound);
  EXPECT_EQ(session_->commit(*fill).code(), Errc::kNotFound);
  EXPECT_EQ(session_->take_fill(99, Completion{}).code(), Errc::kNotFound);
}

TEST_F(ClientSession, RefusesPositionsThatTheLayoutForbids) {
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 16).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->begin_fill(FillKind::kCheckpoint, 17).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 0).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 1056).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 32, {.groups = 8}).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 32, {.groups = 4}).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(session_->match(2000).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->match(0).code(), Errc::kInvalidArgument);
}

TEST_F(ClientSession, TokensBeyondTheSessionAreRefusedWhole) {
  const std::vector<uint32_t> tokens(4096 - 1024 + 1);
  EXPECT_EQ(session_->append_tokens(tokens).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session_->token_count(), 1024u);
  EXPECT_EQ(session_->chain().size(), 64u);
}

TEST_F(ClientSession, AsynchronousCallsCompleteInOrderBehindOneFlush) {
  store(FillKind::kSpan, 32);
  const auto noop = session_->submit_noop();
  const auto match = session_->submit_match(100);
  session_->flush();
  EXPECT_EQ(poll_one().user_data, *noop);
  const Completion matched = poll_one();
  EXPECT_EQ(matched.user_data, *match);
  const auto load = session_->submit_load(matched.result.match.lease);
  const Completion loaded = poll_one();
  const auto pages = session_->take_pages(*load, loaded);
  ASSERT_TRUE(pages.ok());
  expect_page(pages->pages[0], FillKind::kSpan, 32);
  EXPECT_EQ(session_->take_pages(*load, loaded).code(), Errc::kNotFound);
}

TEST_F(ClientSession, ABlockingCallLeavesOtherCompletionsToBePolled) {
  const auto fill = session_->submit_begin_fill(FillKind::kSpan, 32);
  EXPECT_TRUE(session_->noop().ok());
  const Completion completion = poll_one();
  EXPECT_EQ(completion.user_data, *fill);
  const auto taken = session_->take_fill(*fill, completion);
  ASSERT_TRUE(taken.ok());
  write_pages(*taken);
  EXPECT_TRUE(session_->commit(*taken).ok());
}

TEST_F(ClientSession, MoreThanTheRingIsBusy) {
  daemon_->hold_ring(true);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(session_->submit_noop().ok());
  EXPECT_EQ(session_->submit_noop().code(), Errc::kBusy);
  EXPECT_EQ(session_->noop().code(), Errc::kBusy);
  daemon_->hold_ring(false);
  for (int i = 0; i < 8; ++i) poll_one();
  EXPECT_TRUE(session_->noop().ok());
}

TEST_F(ClientSession, ManyRoundsLeaveNothingBehind) {
  store(FillKind::kSpan, 32);
  for (int i = 0; i < 2000; ++i) {
    const auto hit = session_->match(100);
    ASSERT_TRUE(hit.ok());
    ASSERT_TRUE(session_->load(hit->lease).ok());
    ASSERT_TRUE(session_->release(hit->lease).ok());
    const auto fill = session_->begin_fill(FillKind::kSpan, 64);
    ASSERT_TRUE(fill.ok());
    ASSERT_TRUE(session_->abort(*fill).ok());
  }
  EXPECT_EQ(daemon_->lease_count(), 0u);
  EXPECT_EQ(daemon_->fill_count(), 0u);
}

TEST_F(ClientSession, ALoadBeyondTheDescriptorAreaSaysWhatToDo) {
  session_.reset();
  SessionOptions options = session_options();
  options.max_load_pages = 3;
  session_ = client_->open_session(options).value();
  ASSERT_TRUE(session_->append_tokens(std::vector<uint32_t>(1024)).ok());
  store(FillKind::kSpan, 32);
  store(FillKind::kSpan, 64);
  const auto hit = session_->match(100);
  const auto all = session_->load(hit->lease);
  EXPECT_EQ(all.code(), Errc::kInvalidArgument);
  for (uint32_t block = 0; block < 2; ++block) {
    const auto piece = session_->load(hit->lease, {.first_block = block, .block_count = 1});
    ASSERT_TRUE(piece.ok());
    expect_page(piece->pages[1], FillKind::kSpan, 32 * (block + 1));
  }
}

TEST_F(ClientSession, ReadyDescriptorWakesForLateAndForWaitingCompletions) {
  pollfd entry{session_->fd(), POLLIN, 0};
  ASSERT_GE(entry.fd, 0);
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
  ASSERT_TRUE(session_->submit_noop().ok());
  session_->flush();
  ASSERT_EQ(::poll(&entry, 1, 5000), 1);
  poll_one();
  Completion none;
  ASSERT_EQ(*session_->poll_completions(std::span(&none, 1)), 0u);
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
  // One that a blocking call took in along with its own.
  ASSERT_TRUE(session_->submit_noop().ok());
  ASSERT_TRUE(session_->noop().ok());
  EXPECT_EQ(::poll(&entry, 1, 0), 1);
}

TEST_F(ClientSession, ProgressShowsCommitsWithoutACall) {
  EXPECT_EQ(session_->wait_for_tokens(32, 1).code(), Errc::kDeadlineExceeded);
  store(FillKind::kSpan, 32);
  EXPECT_TRUE(session_->wait_for_tokens(32, 1000).ok());
  EXPECT_EQ(session_->progress().committed_tokens, 32u);
  EXPECT_EQ(session_->layer_ready_tokens(1u << 30), 0u);
}

TEST_F(ClientSession, CloseEndsItInTheDaemonAndTwiceIsClosed) {
  EXPECT_TRUE(session_->close().ok());
  EXPECT_EQ(daemon_->session_count(), 0u);
  EXPECT_EQ(session_->close().code(), Errc::kClosed);
  EXPECT_EQ(session_->match(10).code(), Errc::kClosed);
  EXPECT_EQ(session_->append_tokens({}).code(), Errc::kClosed);
  EXPECT_EQ(session_->fd(), -1);
  EXPECT_EQ(session_->progress().committed_tokens, 0u);
}

TEST_F(ClientSession, OutlivesItsClient) {
  store(FillKind::kSpan, 32);
  client_.reset();
  EXPECT_TRUE(session_->noop().ok());
  const auto hit = session_->match(100);
  expect_page(session_->load(hit->lease)->pages[0], FillKind::kSpan, 32);
}

TEST_F(ClientSession, JoiningWithAnotherLayoutIsRefused) {
  SessionOptions options = session_options();
  options.layout.unit_tokens = 0;
  EXPECT_EQ(client_->open_session(options).code(), Errc::kInvalidLayout);
  EXPECT_EQ(daemon_->session_count(), 1u);
}

TEST_F(ClientSession, DefaultStagingHoldsASpanAndACheckpointOfEachShippedLayout) {
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(QUIRE_SOURCE_DIR "/configs/models")) {
    ++count;
    SessionOptions options;
    options.layout = model::load_layout_file(entry.path()).value();
    const auto session = client_->open_session(options);
    ASSERT_TRUE(session.ok()) << session.error().text;
    const std::vector<uint32_t> tokens(options.layout.block_tokens);
    ASSERT_TRUE((*session)->append_tokens(tokens).ok());
    const auto span = (*session)->begin_fill(FillKind::kSpan, options.layout.block_tokens);
    EXPECT_TRUE(span.ok()) << entry.path() << ": " << span.error().text;
    if (!model::needs_checkpoint(options.layout)) continue;
    const auto checkpoint =
        (*session)->begin_fill(FillKind::kCheckpoint, options.layout.unit_tokens);
    EXPECT_TRUE(checkpoint.ok()) << entry.path() << ": " << checkpoint.error().text;
  }
  EXPECT_EQ(count, 11u);
}

TEST_F(ClientSession, DefaultStagingOfASmallLayoutHoldsManyObjects) {
  connect();
  SessionOptions options = session_options();
  options.staging_bytes = 0;
  ASSERT_TRUE(client_->open_session(options).ok());
  EXPECT_EQ(daemon_->staging_bytes().back(), 32u << 20);
}

TEST_F(ClientSession, SessionsOfAClientShareItsStaging) {
  const auto other = client_->open_session(session_options());
  ASSERT_TRUE(other.ok());
  EXPECT_EQ((*other)->staging().data(), session_->staging().data());
  EXPECT_EQ(daemon_->staging_bytes(), std::vector<uint64_t>{64 << 10});
  ASSERT_TRUE((*other)->append_tokens(std::vector<uint32_t>(64, 3)).ok());
  const auto mine = session_->begin_fill(FillKind::kSpan, 32);
  const auto its = (*other)->begin_fill(FillKind::kSpan, 32);
  ASSERT_TRUE(mine.ok() && its.ok());
  EXPECT_NE(mine->staging, its->staging);
}

TEST_F(ClientSession, ASessionThatNeedsMoreGetsAFurtherArea) {
  SessionOptions options = session_options();
  options.staging_bytes = 1 << 20;
  const auto large = client_->open_session(options);
  ASSERT_TRUE(large.ok());
  EXPECT_EQ((*large)->staging().size(), 1u << 20);
  EXPECT_NE((*large)->staging().data(), session_->staging().data());
  // Who needs less goes on with the small one.
  EXPECT_EQ((*client_->open_session(session_options()))->staging().data(),
            session_->staging().data());
}

TEST_F(ClientSession, ACloseGivesBackWhatItsFillsHeld) {
  const auto fill_up = [](Session& session) {
    uint32_t count = 0;
    while (count < 32 && session.begin_fill(FillKind::kSpan, 32 * (count + 1)).ok()) ++count;
    return count;
  };
  const uint32_t room = fill_up(*session_);
  ASSERT_LT(room, 32u) << "the area has room for more than the context";
  const auto other = client_->open_session(session_options());
  ASSERT_TRUE((*other)->append_tokens(std::vector<uint32_t>(1024, 3)).ok());
  EXPECT_EQ((*other)->begin_fill(FillKind::kSpan, 32).code(), Errc::kBusy);
  ASSERT_TRUE(session_->close().ok());
  EXPECT_EQ(fill_up(**other), room);
}

// What no session can stage is refused when it is opened, not at the first checkpoint.
TEST_F(ClientSession, ALayoutBeyondTheLargestStagingIsRefusedAtOpen) {
  SessionOptions options = session_options();
  options.staging_bytes = 0;
  for (const char* name : {"state_1", "state_2"}) {
    options.layout.groups.push_back(options.layout.groups[2]);
    options.layout.groups.back().name = name;
    options.layout.groups.back().page_bytes = model::kMaxPageBytes;
  }
  const auto refused = client_->open_session(options);
  ASSERT_EQ(refused.code(), Errc::kInvalidArgument);
  EXPECT_NE(refused.error().text.find("staging_bytes"), std::string::npos) << refused.error().text;
  EXPECT_NE(refused.error().text.find("2147483648"), std::string::npos) << refused.error().text;
  options.staging_bytes = 1 << 20;  // a rank that commits the small groups
  EXPECT_TRUE(client_->open_session(options).ok());
}

TEST_F(ClientSession, AFillBeyondTheStagingSaysWhatToDo) {
  connect();
  SessionOptions options = session_options();
  options.staging_bytes = 4096;
  const auto session = client_->open_session(options);
  ASSERT_TRUE(session.ok()) << session.error().text;
  ASSERT_TRUE((*session)->append_tokens(std::vector<uint32_t>(64)).ok());
  const auto fill = (*session)->begin_fill(FillKind::kSpan, 32);
  ASSERT_EQ(fill.code(), Errc::kInvalidArgument);
  EXPECT_NE(fill.error().text.find("more staging_bytes"), std::string::npos) << fill.error().text;
}

TEST_F(ClientSession, ANameThatIsTooLongIsNamed) {
  auto options = session_options();
  options.salt = std::string(64, 's');
  const auto refused = client_->open_session(options);
  EXPECT_EQ(refused.code(), model::Errc::kInvalidArgument);
  EXPECT_EQ(refused.error().text.rfind("salt: ", 0), 0u) << refused.error().text;
}

}  // namespace
}  // namespace quire::client::client_session_test
