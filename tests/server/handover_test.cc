// A prompt that one process computes and another one takes while it comes: who may be how far
// ahead, what each of them may count on, and what is said when nothing more comes.
#include <gtest/gtest.h>

#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::handover_test {
namespace {

using client::Progress;
using client::Session;
using model::Errc;
using model::FillKind;
using model::Handover;
using model::SessionRole;

constexpr uint32_t kTokens = 161;  // blocks of 8

class HandoverTest : public testing::Test {
 protected:
  std::unique_ptr<Session> open_prefill(uint32_t ahead_tokens) {
    auto options = options_of(SessionRole::kPrefill);
    options.ahead_tokens = ahead_tokens;
    return with_prompt(open_session(*prefill_, options));
  }
  std::unique_ptr<Session> join(const Session& session, uint64_t reserve_bytes = 0) {
    auto options = options_of(SessionRole::kDecode);
    options.reserve_bytes = reserve_bytes;
    return with_prompt(decode_->join_session(session.token(), options).value());
  }
  static client::SessionOptions options_of(SessionRole role) {
    auto options = session_options(small_hybrid_layout());
    options.role = role;
    return options;
  }
  static std::unique_ptr<Session> with_prompt(std::unique_ptr<Session> session) {
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, 1)).ok());
    return session;
  }
  // Spans in (from, end].
  static void commit(Session& session, uint32_t from, uint32_t end) {
    for (uint32_t at = from + 8; at <= end; at += 8) {
      QUIRE_CHECK(commit_object(session, FillKind::kSpan, at).ok());
    }
  }
  static Errc begin(Session& session, uint32_t end) {
    return session.begin_fill(FillKind::kSpan, end).code();
  }
  // As a decode engine does with what is there: all blocks up to `end` tokens, from `first` on.
  static void take(Session& session, uint32_t first_token, uint32_t end) {
    const auto match = session.match(kTokens).value();
    const auto loaded = session.load(match.lease, {.first_block = first_token / 8,
                                                   .block_count = (end - first_token) / 8,
                                                   .include_checkpoint = false});
    QUIRE_CHECK(loaded.ok() && loaded->block_count == (end - first_token) / 8);
    QUIRE_CHECK(session.release(match.lease).ok());
  }
  uint64_t reserved() {
    uint64_t bytes = 0;
    daemon_.on_core([&](server::Daemon& daemon) {
      for (uint16_t d = 0; d < daemon.cache().names().domain_count(); ++d) {
        bytes += daemon.cache().reservations().admitted_bytes(model::DomainId{d});
      }
    });
    return bytes;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> prefill_ = daemon_.connect("prefill");
  std::unique_ptr<client::Client> decode_ = daemon_.connect("decode");
};

TEST_F(HandoverTest, PrefillWaitsForDecodeAndGoesOnAsItTakes) {
  const auto prefill = open_prefill(32);
  commit(*prefill, 0, 32);
  const auto refused = prefill->begin_fill(FillKind::kSpan, 40);
  EXPECT_EQ(refused.code(), Errc::kBusy) << "also before a decode process came";
  EXPECT_NE(refused.error().text.find("wait_for_room"), std::string::npos) << refused.error().text;
  EXPECT_EQ(prefill->wait_for_room(40, 1).code(), Errc::kDeadlineExceeded);
  const auto decode = join(*prefill);
  ASSERT_TRUE(decode->wait_for_tokens(32, 1000).ok());
  take(*decode, 0, 16);
  EXPECT_EQ(prefill->progress().taken_tokens, 16u);
  ASSERT_TRUE(prefill->wait_for_room(48, 1000).ok());
  commit(*prefill, 32, 48);
  EXPECT_EQ(begin(*prefill, 56), Errc::kBusy);
  take(*decode, 16, 48);
  commit(*prefill, 48, 80);
}

TEST_F(HandoverTest, CheckpointsAndOtherProcessesAreNotHeldUp) {
  const auto prefill = open_prefill(32);
  commit(*prefill, 0, 32);
  EXPECT_TRUE(commit_object(*prefill, FillKind::kCheckpoint, 36).ok());
  const auto decode = join(*prefill);
  commit(*decode, 32, 48);  // what it computes itself
  EXPECT_EQ(begin(*prefill, 56), Errc::kBusy);
}

TEST_F(HandoverTest, TheSlowestDecodeProcessCountsAndAGapIsNotTaken) {
  const auto prefill = open_prefill(64);
  const auto fast = join(*prefill);
  const auto slow = join(*prefill);
  commit(*prefill, 0, 64);
  take(*fast, 0, 64);
  EXPECT_EQ(prefill->progress().taken_tokens, 0u);
  take(*slow, 0, 16);
  take(*slow, 32, 64);
  EXPECT_EQ(prefill->progress().taken_tokens, 16u);
  take(*slow, 16, 40);
  EXPECT_EQ(prefill->progress().taken_tokens, 40u);
}

// What prefill computes is of use to others, so it goes on when those it waited for are gone.
TEST_F(HandoverTest, NobodyIsWaitedForOnceEveryDecodeProcessWent) {
  const auto prefill = open_prefill(32);
  {
    const auto decode = join(*prefill);
    commit(*prefill, 0, 32);
    EXPECT_EQ(begin(*prefill, 40), Errc::kBusy);
  }
  EXPECT_EQ(prefill->progress().ahead_tokens, 0u);
  ASSERT_TRUE(prefill->wait_for_room(160, 1000).ok());
  commit(*prefill, 32, 160);
  const auto again = join(*prefill);
  EXPECT_EQ(prefill->progress().ahead_tokens, 32u) << "a new one is waited for";
}

TEST_F(HandoverTest, WhoWaitsIsToldWhenPrefillIsOver) {
  auto prefill = open_prefill(0);
  EXPECT_EQ(prefill->progress().handover, Handover::kRunning);
  const auto decode = join(*prefill);
  commit(*prefill, 0, 40);
  ASSERT_TRUE(prefill->close().ok());
  EXPECT_EQ(decode->progress().handover, Handover::kEnded);
  EXPECT_TRUE(decode->wait_for_tokens(40, 1000).ok()) << "what is committed stays";
  const auto rest = decode->wait_for_tokens(48, 60'000);
  EXPECT_EQ(rest.code(), Errc::kUnavailable);
  EXPECT_NE(rest.error().text.find("40 of 48"), std::string::npos) << rest.error().text;
  take(*decode, 0, 40);
}

TEST_F(HandoverTest, WithoutRolesNobodyIsToldAnything) {
  auto writer = with_prompt(open_session(*prefill_, options_of(SessionRole::kBoth)));
  const auto reader =
      with_prompt(decode_->join_session(writer->token(), options_of(SessionRole::kBoth)).value());
  commit(*writer, 0, 24);
  ASSERT_TRUE(writer->close().ok());
  EXPECT_EQ(reader->progress().handover, Handover::kNone);
  EXPECT_EQ(reader->wait_for_tokens(48, 1).code(), Errc::kDeadlineExceeded);
}

TEST_F(HandoverTest, EachRoleHasABudgetOfItsOwn) {
  auto options = options_of(SessionRole::kPrefill);
  options.reserve_bytes = 4 << 20;
  const auto prefill = with_prompt(open_session(*prefill_, options));
  EXPECT_EQ(reserved(), uint64_t{4} << 20);
  auto decode = join(*prefill, 2 << 20);
  EXPECT_EQ(reserved(), uint64_t{6} << 20);
  commit(*prefill, 0, 40);
  take(*decode, 0, 40);
  ASSERT_TRUE(decode->close().ok());
  EXPECT_TRUE(daemon_.eventually([](server::Daemon&) { return true; }));
  EXPECT_EQ(reserved(), uint64_t{4} << 20);
}

TEST_F(HandoverTest, ABudgetThatCannotBeHadIsRefusedAtOnceAndTheSessionGoesOn) {
  const auto prefill = open_prefill(0);
  auto options = options_of(SessionRole::kDecode);
  options.reserve_bytes = uint64_t{1} << 40;
  EXPECT_EQ(decode_->join_session(prefill->token(), options).code(), Errc::kResourceExhausted);
  EXPECT_EQ(prefill->progress().members, 1u);
  commit(*prefill, 0, 16);
  options.reserve_bytes = 0;
  EXPECT_TRUE(decode_->join_session(prefill->token(), options).ok());
}

TEST_F(HandoverTest, ABoundBelowABlockIsRefused) {
  auto options = options_of(SessionRole::kPrefill);
  options.ahead_tokens = 7;
  EXPECT_EQ(prefill_->open_session(options).code(), Errc::kInvalidArgument);
}

TEST_F(HandoverTest, ASessionThatIsResetBeginsAnew) {
  const auto prefill = open_prefill(32);
  commit(*prefill, 0, 32);
  ASSERT_TRUE(prefill->reset().ok());
  ASSERT_TRUE(prefill->append_tokens(context_tokens(kTokens, 2)).ok());
  commit(*prefill, 0, 32);
  EXPECT_EQ(begin(*prefill, 40), Errc::kBusy);
  EXPECT_EQ(prefill->progress().handover, Handover::kRunning);
}

}  // namespace
}  // namespace quire::tests::handover_test
