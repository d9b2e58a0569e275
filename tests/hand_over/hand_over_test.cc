#include "server/control/host_handover.h"

#include <gtest/gtest.h>

#include "server/daemon.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/memory_cluster.h"
#include "tests/support/patience.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::hand_over_test {
namespace {

using client::Session;
using model::Errc;
using model::Handover;
using model::TierId;

constexpr uint32_t kBlockTokens = 4;
constexpr uint32_t kTokens = 32;

class HandOverTest : public testing::Test {
 protected:
  std::unique_ptr<Session> open(const std::string& space = "model") {
    auto session = open_session(*client_, session_options(small_append_layout(), space));
    QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, 1)).ok());
    return session;
  }
  void commit(Session& session, uint32_t first_block, uint32_t last_block) {
    for (uint32_t block = first_block; block <= last_block; ++block) {
      ASSERT_TRUE(commit_object(session, model::FillKind::kSpan, block * kBlockTokens).ok());
    }
  }
  void on_core(const std::function<void(server::Daemon&)>& function) { daemon_.on_core(function); }

  ScratchDirectory directory_;
  TestDaemon daemon_{small_options_with_ssd(directory_ / "ssd")};
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

// What is used once does not go up by its rule.
class HandOverBesideACluster : public HandOverTest {
 protected:
  void SetUp() override {
    on_core([&](server::Daemon& daemon) {
      cluster_ = add_memory_cluster(daemon, tiering::AdmissionRule::kSecondUse);
    });
  }
  size_t note_count() {
    size_t count = 0;
    on_core([&](server::Daemon&) { count = cluster_->all_notes().size(); });
    return count;
  }
  MemoryTier* cluster_ = nullptr;
};

TEST_F(HandOverTest, WithoutAClusterItIsUnavailable) {
  EXPECT_EQ(open()->hand_over().code(), Errc::kUnavailable);
}

TEST_F(HandOverBesideACluster, ProgressIsWhatIsDurable) {
  const auto given = open();
  const auto address = given->hand_over();
  ASSERT_TRUE(address.ok()) << address.error().text;
  const auto following = open();
  ASSERT_TRUE(following->follow(*address, kTokens).ok());
  EXPECT_EQ(following->progress().handover, Handover::kRunning);
  commit(*given, 1, 4);
  EXPECT_TRUE(following->wait_for_tokens(4 * kBlockTokens, kPatienceMs).ok());
  on_core([&](server::Daemon&) { cluster_->hold(true); });
  commit(*given, 5, 8);
  EXPECT_EQ(given->progress().committed_tokens, kTokens);
  EXPECT_EQ(following->progress().committed_tokens, 4 * kBlockTokens);
  on_core([&](server::Daemon&) { cluster_->hold(false); });
  EXPECT_TRUE(following->wait_for_tokens(kTokens, kPatienceMs).ok());
}

TEST_F(HandOverBesideACluster, TheEndIsToldOnceAllIsThereAndTheNoteGoes) {
  auto given = open();
  const auto address = given->hand_over();
  ASSERT_TRUE(address.ok());
  const auto following = open();
  ASSERT_TRUE(following->follow(*address, kTokens).ok());
  EXPECT_EQ(note_count(), 1u);
  commit(*given, 1, 6);
  given.reset();
  EXPECT_TRUE(following->wait_for_tokens(6 * kBlockTokens, kPatienceMs).ok());
  const auto rest = following->wait_for_tokens(kTokens, kPatienceMs);
  EXPECT_EQ(rest.code(), Errc::kUnavailable);
  EXPECT_EQ(following->progress().handover, Handover::kEnded);
  EXPECT_EQ(following->progress().committed_tokens, 6 * kBlockTokens) << "what is sealed stays";
  EXPECT_TRUE(daemon_.eventually([&](server::Daemon&) { return cluster_->all_notes().empty(); }));
}

TEST_F(HandOverBesideACluster, Law13_AnAddressIsOfOneTree) {
  const auto given = open();
  auto address = given->hand_over();
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(open("another")->follow(*address, kTokens).code(), Errc::kInvalidArgument);
  address->store[0] ^= 1;
  EXPECT_EQ(open()->follow(*address, kTokens).code(), Errc::kInvalidArgument);
}

TEST_F(HandOverBesideACluster, ATokenThatNobodyGaveIsNoticed) {
  const auto given = open();
  auto address = given->hand_over();
  ASSERT_TRUE(address.ok());
  address->token[0] ^= 1;
  const auto following = open();
  ASSERT_TRUE(following->follow(*address, kTokens).ok());
  EXPECT_EQ(following->wait_for_tokens(1, kPatienceMs).code(), Errc::kUnavailable);
  EXPECT_EQ(following->progress().handover, Handover::kAbandoned);
}

TEST_F(HandOverBesideACluster, WhoAskedMayLeaveAndTheOthersOfTheSessionHearOn) {
  const auto given = open();
  const auto address = given->hand_over();
  ASSERT_TRUE(address.ok());
  auto asked = open();
  ASSERT_TRUE(asked->follow(*address, kTokens).ok());
  const auto other = daemon_.connect();
  const auto joined =
      other->join_session(asked->token(), session_options(small_append_layout(), "model"));
  ASSERT_TRUE(joined.ok()) << joined.error().text;
  asked.reset();
  commit(*given, 1, 4);
  EXPECT_TRUE((*joined)->wait_for_tokens(4 * kBlockTokens, kPatienceMs).ok());
}

TEST_F(HandOverBesideACluster, Law06_WhatAUserGivesAndFollowsHasABound) {
  const auto given = open();
  const auto address = given->hand_over();
  ASSERT_TRUE(address.ok());
  const auto following = open();
  for (size_t i = 0; i < server::HostHandover::kMaxOfOneUser; ++i) {
    ASSERT_TRUE(following->follow(*address, kTokens).ok());
  }
  EXPECT_EQ(following->follow(*address, kTokens).code(), Errc::kBusy);
  for (size_t i = 1; i < server::HostHandover::kMaxOfOneUser; ++i) {
    ASSERT_TRUE(given->hand_over().ok());
  }
  EXPECT_EQ(given->hand_over().code(), Errc::kBusy);
}

TEST(HostHandoverNote, IsBelievedWholeAndOfItsRootOnly) {
  server::HostHandoverNote note;
  note.root.bytes[3] = 7;
  note.span_units = 5;
  const std::string text = server::sealed(note);
  ASSERT_TRUE(server::opened_note(text, note.root).has_value());
  EXPECT_EQ(server::opened_note(text, note.root)->span_units, 5u);
  EXPECT_FALSE(server::opened_note(text, {}).has_value()) << "another root";
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(server::opened_note(damaged, note.root).has_value()) << i;
  }
  EXPECT_FALSE(server::opened_note(text.substr(1), note.root).has_value());
}

}  // namespace
}  // namespace quire::tests::hand_over_test
