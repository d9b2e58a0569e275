// Resuming through a real daemon gives the bits of a cold run: the reason for everything else.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "client/engines/reference/reference_engine.h"
#include "tests/reference/decoder_fixture.h"
#include "tests/support/test_daemon.h"

namespace quire::tests::resume_test {

using client::ReferenceRun;
using client::RunOptions;
using client::RunOutcome;
using client::Session;

namespace {

constexpr uint32_t kTextTokens = 2000;
constexpr uint32_t kUnit = 128;
constexpr uint32_t kChunkSizes[] = {1, 7, 128, 1000};

std::vector<uint32_t> text() {
  std::mt19937 random(7);
  std::vector<uint32_t> tokens(kTextTokens);
  for (uint32_t& token : tokens) token = 32 + random() % 95;
  return tokens;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Resume : public testing::Test {
 protected:
  Resume() : decoder_(reference::tiny_config(), 2), tokens_(text()), client_(daemon_.connect()) {
    layout_ = client::reference_layout(decoder_.geometry(), 1);
    for (model::Group& group : layout_.groups) group.checkpoints = model::CheckpointRule::kAll;
    compute_cold();
  }

  // Logits after every token that ends a unit, and after the last one, without Quire.
  void compute_cold() {
    reference::HeapPageSink heap;
    reference::Sequence sequence(decoder_, heap);
    std::vector<uint32_t> positions;
    for (uint32_t end = kUnit; end <= kTextTokens; end += kUnit) positions.push_back(end - 1);
    reference::PrefillOptions options;
    options.logits_at = positions;
    reference::PrefillResult result = sequence.prefill(tokens_, options);
    cold_at_unit_end_ = std::move(result.logits_at);
    cold_at_end_ = std::move(result.logits);
  }

  std::unique_ptr<Session> open(const std::string& namespace_name) {
    client::SessionOptions options;
    options.layout = layout_;
    options.namespace_name = namespace_name;
    options.max_tokens = kTextTokens + 256;
    options.staging_bytes = 1 << 20;
    auto session = client_->open_session(options);
    QUIRE_CHECK(session.ok());
    return std::move(session).value();
  }

  RunOutcome run(const std::string& namespace_name, uint32_t prompt_tokens, uint32_t chunk_tokens) {
    const auto session = open(namespace_name);
    ReferenceRun engine(decoder_, *session,
                        RunOptions{.chunk_tokens = chunk_tokens, .verify_pages = true});
    auto outcome = engine.prefill(std::span(tokens_).first(prompt_tokens));
    if (!outcome.ok()) ADD_FAILURE() << outcome.error().text;
    return outcome.ok() ? *outcome : RunOutcome{};
  }

  // Drops `count` objects picked at random among those that may go.
  void drop_random(std::mt19937& random, uint32_t count) {
    daemon_.on_core([&](server::Daemon& daemon) {
      std::vector<model::NodeId> objects = inspect(daemon).objects();
      for (uint32_t tries = 0; tries < 10'000 && count > 0 && !objects.empty(); ++tries) {
        const auto at = objects.begin() + static_cast<std::ptrdiff_t>(random() % objects.size());
        if (!meddle(daemon).drop(*at)) continue;
        objects.erase(at);
        --count;
      }
    });
  }

  TestDaemon daemon_;
  reference::Decoder decoder_;
  std::vector<uint32_t> tokens_;
  std::unique_ptr<client::Client> client_;
  model::Layout layout_;
  std::vector<std::vector<float>> cold_at_unit_end_;
  std::vector<float> cold_at_end_;
};

}  // namespace

TEST_F(Resume, EveryUnitBoundaryForEveryChunkSizeGivesTheBitsOfAColdRun) {
  for (const uint32_t chunk : kChunkSizes) {
    const std::string space = "chunk-" + std::to_string(chunk);
    const RunOutcome cold = run(space, kTextTokens, chunk);
    ASSERT_EQ(cold.hit_tokens, 0u);
    EXPECT_TRUE(same_bits(cold.logits, cold_at_end_)) << "committing changed the numbers";
    for (uint32_t boundary = kUnit; boundary + kUnit <= kTextTokens; boundary += kUnit) {
      // A prompt of one unit more resumes at the boundary: its own last unit is never a hit.
      const RunOutcome warm = run(space, boundary + kUnit, chunk);
      EXPECT_EQ(warm.hit_tokens, boundary);
      EXPECT_TRUE(same_bits(warm.logits, cold_at_unit_end_[boundary / kUnit]))
          << "chunk " << chunk << " resumed at " << boundary;
    }
    const RunOutcome whole = run(space, kTextTokens, chunk);
    EXPECT_EQ(whole.hit_tokens, (kTextTokens - 1) / kUnit * kUnit);
    EXPECT_TRUE(same_bits(whole.logits, cold_at_end_));
  }
}

TEST_F(Resume, AfterRandomEvictionsTheBitsAreThoseOfAColdRun) {
  std::mt19937 random(2);  // shortens seven hits; other seeds as few as two
  uint32_t partial_hits = 0;
  run("evicted", kTextTokens, 256);
  for (int round = 0; round < 12; ++round) {
    ASSERT_TRUE(daemon_.is_quiet());
    drop_random(random, 1 + random() % 12);
    const uint32_t chunk = kChunkSizes[1 + round % 3];
    const RunOutcome outcome = run("evicted", kTextTokens, chunk);
    partial_hits += outcome.hit_tokens > 0 && outcome.hit_tokens < 1920 ? 1 : 0;
    EXPECT_TRUE(same_bits(outcome.logits, cold_at_end_))
        << "round " << round << " resumed at " << outcome.hit_tokens;
  }
  EXPECT_GT(partial_hits, 3u) << "evictions never shortened a hit";
}

TEST_F(Resume, SpansWithoutACheckpointAreNamedAsTheLimit) {
  for (model::Group& group : layout_.groups) group.checkpoints = model::CheckpointRule::kTurnEnds;
  run("turns", kTextTokens, 512);
  auto other = tokens_;
  other[1000] ^= 1;
  const auto session = open("turns");
  ASSERT_TRUE(session->append_tokens(other).ok());
  const auto match = session->match(kTextTokens);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 0u);
  EXPECT_EQ(match->span_tokens, 768u);
  EXPECT_EQ(match->limit, static_cast<uint8_t>(model::MatchLimit::kNoCheckpoint));
  EXPECT_EQ(match->branch_tokens, 768u) << "the engine is asked for a checkpoint at the branch";
}

TEST_F(Resume, BranchPointIsHitByTheThirdSession) {
  for (model::Group& group : layout_.groups) group.checkpoints = model::CheckpointRule::kTurnEnds;
  run("branch", kTextTokens, 512);
  const std::vector<uint32_t> first = tokens_;
  tokens_[1000] ^= 1;
  run("branch", kTextTokens, 512);  // A+C: misses, and leaves a checkpoint where A ends
  tokens_[1000] ^= 2;
  const RunOutcome third = run("branch", kTextTokens, 512);
  EXPECT_EQ(third.hit_tokens, 768u);
  compute_cold();
  EXPECT_TRUE(same_bits(third.logits, cold_at_end_));
}

}  // namespace quire::tests::resume_test
