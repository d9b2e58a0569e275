// What checkpoint policies would have brought, as advised, against what they bring: one trace of
// conversations, run by a real daemon under each policy.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cache/ghosts/checkpoint_ghosts.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::checkpoint_advice_test {
namespace {

using cache::CheckpointGhosts;
using cache::CheckpointTotals;
using model::FillKind;

// Positions of DeepSeek V4, small pages.
model::Layout layout_of(uint32_t unit_tokens, uint32_t block_tokens) {
  model::Layout layout = small_hybrid_layout();
  layout.name = "advice";
  layout.unit_tokens = unit_tokens;
  layout.block_tokens = block_tokens;
  return layout;
}

struct Prompt {
  uint64_t conversation = 0;
  std::vector<uint32_t> tokens;
};

// Conversations that share one of two system prompts and take turns in any order. Now and then one
// rewrites the tail of its last prompt, goes back and takes another way, grows by far more than a
// turn, or goes on from where some prompt had been before. `grain`: where prompts part.
class TraceMaker {
 public:
  explicit TraceMaker(uint32_t grain, uint64_t seed) : grain_(grain), random_(seed) {}

  std::vector<Prompt> make(uint32_t conversations, uint32_t turns) {
    std::vector<Prompt> texts(conversations);
    for (uint32_t i = 0; i < conversations; ++i) {
      texts[i].conversation = i + 1;
      texts[i].tokens = context_tokens(i % 2 == 0 ? 24 * grain_ : 11 * grain_, i % 2);
    }
    std::vector<Prompt> trace;
    for (uint32_t i = 0; i < conversations * turns; ++i) {
      Prompt& text = texts[below(conversations)];
      const auto length = static_cast<uint32_t>(text.tokens.size());
      const uint32_t kind = below(8);
      if (kind == 0) cut(text, length - std::min(length, (1 + below(2)) * grain_));
      if (kind == 1) cut(text, below(length));
      if (kind >= 5 && !trace.empty()) {
        text.tokens = trace[below(static_cast<uint32_t>(trace.size()))].tokens;
      }
      const uint32_t growth = kind == 2 ? 20'000 : 1 + below(5000);
      for (uint32_t more = growth; more > 0; --more) text.tokens.push_back(++next_token_);
      trace.push_back(text);
    }
    return trace;
  }

 private:
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }
  void cut(Prompt& text, uint32_t tokens) {
    text.tokens.resize(std::max(grain_, tokens / grain_ * grain_));
  }

  const uint32_t grain_;
  std::mt19937_64 random_;
  uint32_t next_token_ = 1u << 20;
};

// A prompt as it was served.
struct Served {
  std::vector<uint64_t> keys;
  uint32_t prompt_tokens = 0;
  uint32_t span_tokens = 0;
  uint32_t exact_tokens = 0;
  uint32_t diverged = 0;
  uint64_t conversation = 0;
  uint64_t checkpoint_bytes = 0;  // written afterwards
};

// An engine that does what it is asked for.
class Replay {
 public:
  Replay(const model::Layout& layout, uint32_t tail_tokens, const std::string& policy)
      : daemon_(options_for(policy)), client_(daemon_.connect()) {
    options_ = session_options(layout);
    options_.tail_tokens = tail_tokens;
    options_.max_tokens = 1 << 17;
  }

  std::vector<Served> run(const std::vector<Prompt>& trace) {
    std::vector<Served> served;
    for (const Prompt& prompt : trace) served.push_back(take_turn(prompt));
    EXPECT_EQ(daemon_.counters().evictions, 0u) << "nothing may be short here";
    return served;
  }
  client::Client& client() { return *client_; }

 private:
  static server::Options options_for(const std::string& policy) {
    server::Options options = small_options();
    options.ram_bytes = 128ull << 20;
    options.ghost_bytes = 16ull << 20;
    options.checkpoints = policy;
    return options;
  }

  Served take_turn(const Prompt& prompt) {
    options_.conversation = prompt.conversation;
    const auto session = open_session(*client_, options_);
    EXPECT_TRUE(session->append_tokens(prompt.tokens).ok());
    const auto tokens = static_cast<uint32_t>(prompt.tokens.size());
    const model::MatchResult match = session->match(tokens).value();
    Served served{.keys = {},
                  .prompt_tokens = tokens,
                  .span_tokens = match.span_tokens,
                  .exact_tokens = match.exact_tokens,
                  .diverged = match.diverged,
                  .conversation = prompt.conversation};
    for (const model::Hash256& hash : session->chain()) served.keys.push_back(hash.word(1));
    const uint32_t block = options_.layout.block_tokens;
    for (uint32_t end = match.span_tokens + block; end <= tokens; end += block) {
      EXPECT_TRUE(commit_object(*session, FillKind::kSpan, end).ok());
    }
    for (const auto& wanted :
         session->wanted_checkpoints(match.exact_tokens, tokens, match.branch_tokens)) {
      const auto done =
          commit_object(*session, FillKind::kCheckpoint, wanted.tokens, 0, wanted.reason);
      EXPECT_TRUE(done.ok()) << done.error().text;
      if (done->duplicate == 0) served.checkpoint_bytes += bytes_at(wanted.tokens);
    }
    if (match.lease != 0) QUIRE_CHECK(session->release(match.lease).ok());
    return served;
  }

  uint64_t bytes_at(uint32_t tokens) const {
    uint64_t bytes = 0;
    for (const auto& page :
         model::plan_pages(options_.layout, FillKind::kCheckpoint, tokens, 0).pages) {
      bytes += page.bytes;
    }
    return bytes;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  client::SessionOptions options_;
};

struct Case {
  const char* name;
  uint32_t unit_tokens = 128;
  uint32_t block_tokens = 256;
  uint32_t tail_tokens = 256;
  uint32_t grain = 256;  // of the trace
};

class CheckpointAdvice : public testing::TestWithParam<Case> {
 protected:
  static uint64_t page_bytes(uint32_t tokens) {
    uint64_t bytes = 0;
    for (const auto& page : model::plan_pages(layout(), FillKind::kCheckpoint, tokens, 0).pages) {
      bytes += page.bytes;
    }
    return bytes;
  }
  static model::Layout layout() {
    return layout_of(GetParam().unit_tokens, GetParam().block_tokens);
  }
  static CheckpointTotals told(CheckpointGhosts& ghosts, const Served& served, int64_t time_us) {
    const uint32_t unit = GetParam().unit_tokens;
    const CheckpointTotals before = ghosts.windows().totals(cache::HitWindow::kDay, time_us);
    ghosts.matched({.time_us = time_us,
                    .keys = served.keys,
                    .block_tokens = GetParam().block_tokens,
                    .prompt_tokens = served.prompt_tokens,
                    .span_tokens = served.span_tokens,
                    .facts = {.bytes = page_bytes(GetParam().block_tokens),
                              .tail_bytes = page_bytes(unit),
                              .unit_tokens = unit,
                              .own_step = 0,
                              .exact_tokens = served.exact_tokens,
                              .tail_tokens = GetParam().tail_tokens,
                              .owner = static_cast<uint32_t>(served.conversation),
                              .diverged = served.diverged}});
    CheckpointTotals more = ghosts.windows().totals(cache::HitWindow::kDay, time_us);
    for (size_t i = 0; i < more.rows.size(); ++i) {
      more.rows[i].exact_tokens -= before.rows[i].exact_tokens;
      more.rows[i].written_bytes -= before.rows[i].written_bytes;
    }
    return more;
  }
};

INSTANTIATE_TEST_SUITE_P(Layouts, CheckpointAdvice,
                         testing::Values(Case{"V4"},
                                         Case{.name = "V4WithoutATail", .tail_tokens = 0},
                                         Case{.name = "UnitsAreBlocks",
                                              .unit_tokens = 128,
                                              .block_tokens = 128,
                                              .grain = 1}),
                         [](const auto& param) { return std::string(param.param.name); });

// Whatever policy the daemon ran under while it was told, it advises what each policy brings.
TEST_P(CheckpointAdvice, IsWhatEachPolicyBringsAndWritesWhereNothingIsEvicted) {
  const std::vector<Prompt> trace = TraceMaker(GetParam().grain, 7).make(4, 8);
  const auto& policies = CheckpointGhosts::policies();
  std::vector<std::vector<Served>> runs;
  for (const model::CheckpointPolicy& policy : policies) {
    runs.push_back(
        Replay(layout(), GetParam().tail_tokens, model::checkpoint_policy_text(policy)).run(trace));
  }
  for (size_t present = 0; present < runs.size(); ++present) {
    CheckpointGhosts ghosts;
    for (size_t turn = 0; turn < trace.size(); ++turn) {
      const CheckpointTotals told_now =
          told(ghosts, runs[present][turn], static_cast<int64_t>(turn));
      for (size_t i = 0; i < policies.size(); ++i) {
        const Served& really = runs[i][turn];
        ASSERT_EQ(really.span_tokens, runs[0][turn].span_tokens);
        ASSERT_EQ(told_now.rows[i].exact_tokens, really.exact_tokens)
            << "turn " << turn << " of " << model::checkpoint_policy_text(policies[i])
            << ", told under " << model::checkpoint_policy_text(policies[present]);
        ASSERT_EQ(told_now.rows[i].written_bytes, really.checkpoint_bytes)
            << "turn " << turn << " of " << model::checkpoint_policy_text(policies[i]);
      }
    }
  }
}

std::string number(const char* key, uint64_t value) {
  return '"' + std::string(key) + "\":" + std::to_string(value) + ',';
}

TEST(CheckpointAdviceOfADaemon, IsOfWhatItServed) {
  const std::vector<Prompt> trace = TraceMaker(256, 3).make(3, 4);
  Replay replay(layout_of(128, 256), 256, "turn_ends");
  uint64_t exact = 0;
  uint64_t asked = 0;
  uint64_t written = 0;
  for (const Served& served : replay.run(trace)) {
    exact += served.exact_tokens;
    asked += served.prompt_tokens;
    written += served.checkpoint_bytes;
  }
  ASSERT_GT(exact, 0u);
  const std::string now = number("prompts", trace.size()) + number("prompt_tokens", asked) +
                          number("exact_tokens", exact);
  std::string text;
  // The report that has all of it is made within a second of the next prompt: one of a layout that
  // has no checkpoints, and is not counted.
  while (text.find(now) == std::string::npos ||
         text.find(number("written_bytes", written)) == std::string::npos) {
    const auto other = open_session(replay.client(), session_options(small_append_layout()));
    ASSERT_TRUE(other->append_tokens(context_tokens(9, 1)).ok());
    ASSERT_TRUE(other->match(9).ok());
    text = replay.client().checkpoint_advice_json(model::AdviceWindow::kDay).value();
    ASSERT_EQ(text.find(number("prompts", trace.size() + 1)), std::string::npos) << text;
  }
  const std::string row = R"({"policy":"turn_ends",)" + number("exact_tokens", exact);
  EXPECT_NE(text.find(row), std::string::npos) << text;
  EXPECT_NE(text.find(R"("window":"24h","policy":"turn_ends")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"({"policy":"none","exact_tokens":0,)"), std::string::npos) << text;
}

TEST(CheckpointAdviceOfADaemon, NeedsGhosts) {
  server::Options options = small_options();
  options.ghost_bytes = 0;
  TestDaemon daemon(options);
  EXPECT_EQ(daemon.connect()->checkpoint_advice_json(model::AdviceWindow::kHour).code(),
            model::Errc::kNotFound);
}

}  // namespace
}  // namespace quire::tests::checkpoint_advice_test
