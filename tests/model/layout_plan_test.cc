#include "client/quirectl/layout_plan.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client/quirectl/layout_command.h"
#include "model/layout_toml.h"
#include "tests/model/model_fixtures.h"

namespace quire::client::layout_plan_test {
namespace {

constexpr uint64_t kBlock = 4096;

// Units of 64, blocks of 128 tokens; pages that are no whole blocks of 4 KiB.
model::Layout hybrid() {
  model::Layout layout;
  layout.name = "hybrid";
  layout.unit_tokens = 64;
  layout.block_tokens = 128;
  layout.groups.resize(2);
  layout.groups[0] = {.name = "global", .page_bytes = 5000};
  layout.groups[0].layers = {{0, 0, 5000}};
  layout.groups[1] = {.name = "state", .kind = model::GroupKind::kState, .page_bytes = 100};
  layout.groups[1].layers = {{1, 0, 100}};
  return layout;
}

SessionPlan plan_of(const model::Layout& layout, const PlanQuestion& question) {
  const model::Result<SessionPlan> plan = plan_session(layout, question);
  EXPECT_TRUE(plan.ok()) << plan.error().text;
  return plan.ok() ? *plan : SessionPlan{};
}

TEST(LayoutPlan, CountsSpansAndCheckpointsInWholeBlocks) {
  // 10 whole spans. The turn end, at unit 20, ends a block; the one before the tail, at 1024, too.
  const SessionPlan plan = plan_of(hybrid(), {.context_tokens = 1281});
  EXPECT_EQ(plan.spans, 10u);
  EXPECT_EQ(plan.checkpoints, (std::vector<uint32_t>{1024, 1280}));
  EXPECT_EQ(plan.span_bytes, 10 * 2 * kBlock);
  EXPECT_EQ(plan.checkpoint_bytes, 2 * kBlock);
  EXPECT_EQ(plan.ram_bytes, 22 * kBlock);
  EXPECT_EQ(plan.ssd_bytes, (22 + 12) * kBlock) << "a header for each object";
  EXPECT_EQ(plan.load_bytes, 21 * kBlock) << "one of the checkpoints is read";
}

TEST(LayoutPlan, CountsTheTailsOfBlocksThatACheckpointCuts) {
  // The turn end at 1216 = 9.5 blocks holds half a block of rows, in a page of its own.
  const SessionPlan plan = plan_of(hybrid(), {.context_tokens = 1280});
  EXPECT_EQ(plan.checkpoints, (std::vector<uint32_t>{1024, 1216}));
  EXPECT_EQ(plan.checkpoint_bytes, (1 + 3) * kBlock);
  EXPECT_EQ(plan.groups[0].span_pages, 10u);
  EXPECT_EQ(plan.groups[0].checkpoint_pages, 1u);
  EXPECT_EQ(plan.groups[1].checkpoint_pages, 2u);
  EXPECT_EQ(plan.groups[0].bytes + plan.groups[1].bytes, plan.ram_bytes);
}

TEST(LayoutPlan, KeepsTheCheckpointsOfThePolicy) {
  const auto policy = model::parse_checkpoint_policy("every:256");
  ASSERT_TRUE(policy.ok());
  const SessionPlan plan = plan_of(hybrid(), {.context_tokens = 1025, .checkpoints = *policy});
  EXPECT_EQ(plan.checkpoints, (std::vector<uint32_t>{256, 512, 768, 1024}));
  const auto none = model::parse_checkpoint_policy("none");
  const SessionPlan bare = plan_of(hybrid(), {.context_tokens = 1025, .checkpoints = *none});
  EXPECT_EQ(bare.ram_bytes, bare.span_bytes);
}

TEST(LayoutPlan, RefusesContextsThatCannotBe) {
  EXPECT_EQ(plan_session(hybrid(), {.context_tokens = 127}).code(), model::Errc::kInvalidArgument);
  EXPECT_TRUE(plan_session(hybrid(), {.context_tokens = 64u << 24}).ok());
  EXPECT_FALSE(plan_session(hybrid(), {.context_tokens = (64u << 24) + 64}).ok());
}

TEST(LayoutPlan, SessionsAndSecondsAreWhole) {
  EXPECT_EQ(sessions_in(99, 10), 9u);
  EXPECT_EQ(sessions_in(100, 10), 10u);
  EXPECT_EQ(load_ms(1, 1000), 1u);
  EXPECT_EQ(load_ms(1001, 1000), 1001u);
  EXPECT_EQ(load_ms(uint64_t{1} << 60, uint64_t{1} << 30), (uint64_t{1} << 30) * 1000);
}

TEST(LayoutPlan, ReadsTokensAsPeopleWriteThem) {
  EXPECT_EQ(*parse_tokens_count("200000"), 200000u);
  EXPECT_EQ(*parse_tokens_count("128K"), 131072u);
  EXPECT_EQ(*parse_tokens_count("1M"), 1048576u);
  for (const char* wrong : {"", "0", "M", "1G", "1MiB", "-1", "4096M"}) {
    EXPECT_FALSE(parse_tokens_count(wrong).ok()) << wrong;
  }
}

TEST(LayoutPlan, FindsShippedLayoutsByName) {
  const std::string directory = QUIRE_SOURCE_DIR "/configs/models";
  EXPECT_EQ(*find_layout_file("qwen3-32b", {"/nowhere", directory}), directory + "/qwen3-32b.toml");
  EXPECT_EQ(*find_layout_file("./other.toml", {directory}), "./other.toml");
  const auto missing = find_layout_file("qwen9", {directory});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().text.find(directory + "/qwen9.toml"), std::string::npos);
}

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

Outcome run(const LayoutPlanOptions& options) {
  std::ostringstream out;
  std::ostringstream err;
  const int exit_code = run_layout_plan(options, out, err);
  return {exit_code, out.str(), err.str()};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

LayoutPlanOptions qwen() {
  LayoutPlanOptions options;
  options.path = model::shipped_path("qwen3-32b");
  options.ram = "1TiB";
  options.ssd = "4TiB";
  options.ssd_bandwidth = "8GiB";
  return options;
}

// 64 layers, 8 heads of 128, K and V of 2 bytes: 256 KiB a token.
TEST(LayoutPlan, TheVerbSaysHowManySessionsFit) {
  const Outcome table = run(qwen());
  ASSERT_EQ(table.exit_code, kExitOk) << table.err;
  EXPECT_TRUE(has(table.out, "sessions in ram         4 in 1.00 TiB")) << table.out;
  EXPECT_TRUE(has(table.out, "sessions in ssd         15 in 4.00 TiB")) << table.out;
  EXPECT_TRUE(has(table.out, "32 s for 256 GiB at 8.00 GiB/s")) << table.out;
  LayoutPlanOptions options = qwen();
  options.output = LayoutOutput::kJson;
  const Outcome json = run(options);
  EXPECT_TRUE(has(json.out, R"({"tier":"ram","capacity_bytes":1099511627776,)"
                            R"("session_bytes":274877906944,"sessions":4})"))
      << json.out;
  EXPECT_TRUE(has(json.out, R"("ssd_load_ms":32000)")) << json.out;
  options.output = LayoutOutput::kCsv;
  EXPECT_EQ(run(options).out,
            "tier,capacity_bytes,session_bytes,sessions\n"
            "ram,1099511627776,274877906944,4\n"
            "ssd,4398046511104,274945015808,15\n");
}

TEST(LayoutPlan, TheVerbTakesAModelsConfiguration) {
  LayoutPlanOptions options;
  options.config.path =
      QUIRE_SOURCE_DIR "/tests/model/configs/published/qwen3-32b-fp8-static-pertensor.json";
  options.ram = "1TiB";
  const Outcome outcome = run(options);
  ASSERT_EQ(outcome.exit_code, kExitOk) << outcome.err;
  EXPECT_TRUE(has(outcome.out, "sessions in ram         8 in 1.00 TiB")) << outcome.out;
  EXPECT_TRUE(has(outcome.err, "kv_cache_scheme")) << outcome.err;
}

TEST(LayoutPlan, TheVerbWantsOneLayoutAndSizesWithUnits) {
  EXPECT_EQ(run({}).exit_code, kExitUsage);
  LayoutPlanOptions both = qwen();
  both.config.path = "config.json";
  EXPECT_EQ(run(both).exit_code, kExitUsage);
  for (const char* wrong : {"1TB", "0", "many"}) {
    LayoutPlanOptions options = qwen();
    options.ram = wrong;
    const Outcome outcome = run(options);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << wrong;
    EXPECT_TRUE(has(outcome.err, "--ram")) << outcome.err;
    EXPECT_TRUE(outcome.out.empty());
  }
  LayoutPlanOptions toml = qwen();
  toml.output = LayoutOutput::kToml;
  EXPECT_EQ(run(toml).exit_code, kExitUsage);
}

}  // namespace
}  // namespace quire::client::layout_plan_test
