#include "client/quirectl/layout_command.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <sstream>

#include "client/quirectl/layout_output.h"
#include "model/layout_toml.h"
#include "tests/model/model_fixtures.h"

namespace quire::client::layout_command_test {
namespace {

struct Outcome {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Parses as quirectl's main does: usage errors of CLI11 become kExitUsage.
Outcome run_quirectl(std::vector<std::string> arguments) {
  LayoutCommandLine line;
  std::ostringstream out;
  std::ostringstream err;
  CLI::App app("test");
  add_layout_commands(app, line, out, err);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError&) {
    return {kExitUsage, out.str(), err.str()};
  }
  return {line.exit_code, out.str(), err.str()};
}

std::string config_path(const std::string& stem) {
  return QUIRE_SOURCE_DIR "/tests/model/configs/" + stem + ".json";
}

TEST(LayoutCommand, FromConfigWritesAFileThatReadsBack) {
  const Outcome outcome = run_quirectl({"layout", "from-config", config_path("deepseek-v4-flash"),
                                        "--indexer", "fp4", "--name", "deepseek-v4-flash-fp4"});
  ASSERT_EQ(outcome.exit_code, kExitOk) << outcome.err;
  const auto layout = model::parse_layout_toml(outcome.out);
  const auto shipped = model::load_layout_file(model::shipped_path("deepseek-v4-flash-fp4"));
  ASSERT_TRUE(layout.ok() && shipped.ok());
  EXPECT_TRUE(*layout == *shipped);
}

TEST(LayoutCommand, FromConfigTakesRanksAndFormats) {
  const Outcome outcome = run_quirectl({"layout", "from-config", config_path("llama-3.1-70b"),
                                        "--kv", "fp8", "--tensor-parallel", "2", "-o", "toml"});
  ASSERT_EQ(outcome.exit_code, kExitOk) << outcome.err;
  const auto layout = model::parse_layout_toml(outcome.out);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->groups.size(), 2u);
  EXPECT_EQ(layout->groups[0].element_format, model::ElementFormat::kFp8E4m3);
}

TEST(LayoutCommand, FromConfigSaysThatTheFileAsksForFp8) {
  const std::string path = config_path("published/qwen3-32b-fp8-static-pertensor");
  const Outcome asked = run_quirectl({"layout", "from-config", path});
  ASSERT_EQ(asked.exit_code, kExitOk) << asked.err;
  EXPECT_NE(asked.err.find("quantization_config.kv_cache_scheme"), std::string::npos) << asked.err;
  const auto layout = model::parse_layout_toml(asked.out);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->groups[0].element_format, model::ElementFormat::kFp8E4m3);
  const Outcome told = run_quirectl({"layout", "from-config", path, "--kv", "bf16"});
  ASSERT_EQ(told.exit_code, kExitOk) << told.err;
  EXPECT_TRUE(told.err.empty()) << told.err;
  const Outcome automatic = run_quirectl({"layout", "from-config", path, "--kv", "auto"});
  EXPECT_EQ(automatic.out, asked.out);
}

TEST(LayoutCommand, FromConfigTakesTheFormatOfStates) {
  const Outcome outcome = run_quirectl(
      {"layout", "from-config", config_path("qwen3-next-80b"), "--state", "bf16", "-o", "toml"});
  ASSERT_EQ(outcome.exit_code, kExitOk) << outcome.err;
  const auto layout = model::parse_layout_toml(outcome.out);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout->groups[1].page_bytes, 36u * (3 * 8192 * 2 + 32 * 128 * 128 * 2));
}

TEST(LayoutCommand, FromConfigFailsWithTheFieldNamed) {
  const Outcome outcome =
      run_quirectl({"layout", "from-config", config_path("llama-3.1-70b"), "--indexer", "fp4"});
  EXPECT_EQ(outcome.exit_code, kExitUsage);
  EXPECT_NE(outcome.err.find("indexer"), std::string::npos) << outcome.err;
  EXPECT_TRUE(outcome.out.empty());
}

TEST(LayoutCommand, ShowPrintsATableByDefault) {
  const Outcome outcome =
      run_quirectl({"layout", "show", model::shipped_path("deepseek-v4-flash-fp8")});
  ASSERT_EQ(outcome.exit_code, kExitOk) << outcome.err;
  for (const char* text : {"1002240", "window_1", "5504 exact", "turn_ends", "c4_state"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << '\n' << outcome.out;
  }
}

TEST(LayoutCommand, ShowPrintsJsonWithRawNumbers) {
  const Outcome outcome =
      run_quirectl({"layout", "show", model::shipped_path("qwen3-32b"), "--output", "json"});
  ASSERT_EQ(outcome.exit_code, kExitOk) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with(R"({"schema":"quire.layout.v1","name":"qwen3-32b",)"));
  EXPECT_NE(outcome.out.find(R"("page_bytes":16777216,)"), std::string::npos);
}

TEST(LayoutCommand, JsonEscapesNames) {
  model::Layout layout = model::append_layout(16, 16);
  layout.name = "a\"b\\c";
  std::ostringstream out;
  write_layout_json(layout, out);
  EXPECT_NE(out.str().find(R"("name":"a\"b\\c")"), std::string::npos) << out.str();
}

TEST(LayoutCommand, CheckReportsEveryFile) {
  const Outcome outcome = run_quirectl({"layout", "check", model::shipped_path("qwen3-32b"),
                                        "/nonexistent.toml", model::shipped_path("gemma-3-27b")});
  EXPECT_EQ(outcome.exit_code, kExitNotFound);
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  EXPECT_NE(outcome.err.find("/nonexistent.toml"), std::string::npos);
}

TEST(LayoutCommand, CheckWithoutFilesIsUsage) {
  std::ostringstream out;
  std::ostringstream err;
  EXPECT_EQ(run_layout_check({}, out, err), kExitUsage);
}

TEST(LayoutCommand, WrongUsageIsForTheParser) {
  EXPECT_EQ(run_quirectl({"layout"}).exit_code, kExitUsage);
  EXPECT_EQ(run_quirectl({"layout", "show"}).exit_code, kExitUsage);
  EXPECT_EQ(run_quirectl({"layout", "show", "x", "-o", "yaml"}).exit_code, kExitUsage);
  EXPECT_EQ(run_quirectl({"layout", "from-config", "x", "--kv", "int4"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace quire::client::layout_command_test
