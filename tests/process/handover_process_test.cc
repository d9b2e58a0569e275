// Prefill and decode as processes: a prompt goes from one to the other while it is computed, and
// the one that computes it is killed in the middle.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/process/daemon_process.h"
#include "tests/process/test_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::handover_process_test {

using client::Session;
using model::Errc;
using model::FillKind;
using model::SessionRole;

namespace {

constexpr uint32_t kTokens = 161;  // of which prefill commits blocks of 8
constexpr uint32_t kAhead = 32;
constexpr uint32_t kDiesAt = 96;

client::SessionOptions options_of(SessionRole role) {
  auto options = session_options(small_hybrid_layout());
  options.role = role;
  options.ahead_tokens = kAhead;
  return options;
}

// Commits as decode takes it, up to `end`; then it waits for its death, or closes the session.
int prefill(const std::string& socket_path, uint32_t end, bool dies, Channel& channel) {
  const auto client = client::Client::connect({.socket_path = socket_path}).value();
  const auto session = open_session(*client, options_of(SessionRole::kPrefill));
  if (!session->append_tokens(context_tokens(kTokens, 1)).ok()) return 2;
  const client::SessionToken token = session->token();
  channel.send({reinterpret_cast<const char*>(token.data()), token.size()});
  for (uint32_t at = 8; at <= end; at += 8) {
    if (!session->wait_for_room(at, kPatienceMs).ok()) return 3;
    if (!commit_object(*session, FillKind::kSpan, at).ok()) return 4;
  }
  if (!dies) return session->close().ok() ? 0 : 5;
  if (!session->wait_for_room(end + 8, kPatienceMs).ok()) return 3;
  const auto open = session->begin_fill(FillKind::kSpan, end + 8);
  if (!open.ok()) return 6;
  channel.send("x");
  channel.receive();
  return 7;
}

}  // namespace

class HandoverProcess : public testing::Test {
 protected:
  void start(uint32_t end, bool dies) {
    prefill_.emplace(TestProcess::call([this, end, dies](Channel& channel) {
      return prefill(daemon_.socket_path(), end, dies, channel);
    }));
    const std::string token = prefill_->channel().receive(sizeof(client::SessionToken));
    ASSERT_EQ(token.size(), sizeof(client::SessionToken));
    client::SessionToken shared;
    std::copy(token.begin(), token.end(), shared.begin());
    client_ = daemon_.connect("decode");
    decode_ = client_->join_session(shared, options_of(SessionRole::kDecode)).value();
    ASSERT_TRUE(decode_->append_tokens(context_tokens(kTokens, 1)).ok());
  }
  // Every page of the blocks up to `end`, compared.
  void take(uint32_t end) {
    const auto match = decode_->match(kTokens).value();
    ASSERT_GE(match.span_tokens, end);
    const auto loaded =
        decode_->load(match.lease, {.block_count = end / 8, .include_checkpoint = false});
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded->block_count, end / 8);
    for (size_t i = 0; i < loaded->pages.size(); ++i) {
      const auto block = static_cast<uint32_t>(i / (loaded->pages.size() / loaded->block_count));
      EXPECT_TRUE(check_content(*decode_, loaded->pages[i],
                                object_key(*decode_, 8 * (block + 1), FillKind::kSpan)));
    }
    ASSERT_TRUE(decode_->release(match.lease).ok());
  }

  DaemonProcess daemon_;
  std::optional<TestProcess> prefill_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Session> decode_;
};

TEST_F(HandoverProcess, DecodeTakesAPromptWhileItIsComputed) {
  start(160, false);
  for (uint32_t at = 16; at <= 160; at += 16) {
    ASSERT_TRUE(decode_->wait_for_tokens(at, kPatienceMs).ok());
    EXPECT_LE(decode_->progress().committed_tokens, at - 16 + kAhead) << "no further ahead";
    EXPECT_GE(decode_->layer_ready_tokens(0), at);
    take(at);
  }
  EXPECT_EQ(prefill_->wait(), 0);
  EXPECT_EQ(decode_->wait_for_tokens(168, kPatienceMs).code(), Errc::kUnavailable);
}

TEST_F(HandoverProcess, APrefillThatIsKilledLeavesWhatIsSealedAndSaysSo) {
  start(kDiesAt, true);
  for (uint32_t at = 16; at <= kDiesAt; at += 16) {
    ASSERT_TRUE(decode_->wait_for_tokens(at, kPatienceMs).ok());
    take(at);
  }
  ASSERT_EQ(prefill_->channel().receive(), "x") << "a fill is open";
  prefill_->signal(SIGKILL);
  EXPECT_EQ(prefill_->wait(), -SIGKILL);
  const auto rest = decode_->wait_for_tokens(kDiesAt + 8, kPatienceMs);
  EXPECT_EQ(rest.code(), Errc::kUnavailable);
  EXPECT_NE(rest.error().text.find("died at 96"), std::string::npos) << rest.error().text;
  EXPECT_EQ(decode_->progress().handover, model::Handover::kAbandoned);
  take(kDiesAt);
  // The engine goes on by itself, in the same session.
  EXPECT_TRUE(commit_object(*decode_, FillKind::kSpan, kDiesAt + 8).ok());
  EXPECT_TRUE(daemon_.eventually(
      [](const DaemonStatus& now) { return now.fills == 0 && now.draining == 0; }));
}

}  // namespace quire::tests::handover_process_test
