// Files of requests, as Mooncake publishes them and as a recording writes them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "bench/replay_bound.h"
#include "bench/replay_simulation.h"
#include "bench/replay_trace.h"
#include "client/quirectl/trace/trace_file.h"

namespace quire::bench::replay_reader_test {
namespace {

using client::to_text;
using client::TraceLine;
using model::Errc;

class ReplayReaderTest : public testing::Test {
 protected:
  ~ReplayReaderTest() override { std::filesystem::remove(path_); }
  model::Result<ReplayTrace> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_replay_trace({.path = path_});
  }

  const std::string path_ =
      testing::TempDir() + "replay-reader-" + std::to_string(::getpid()) + ".jsonl";
};

TEST_F(ReplayReaderTest, MooncakesLinesHaveBlocksOf512Tokens) {
  const auto trace = read(
      "{\"timestamp\": 5, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [0, 1]}\n"
      "{\"timestamp\": 9, \"input_length\": 700, \"output_length\": 3, \"hash_ids\": [0, 2]}\n");
  ASSERT_TRUE(trace.ok()) << trace.error().text;
  EXPECT_EQ(trace->block_tokens, 512u);
  ASSERT_EQ(trace->requests.size(), 2u);
  EXPECT_EQ(trace->requests[1].time_us, 9000);
  EXPECT_EQ(ceiling_hits(*trace), 1u);
}

TEST_F(ReplayReaderTest, RecordingIsReadAsItIsWritten) {
  const TraceLine first{.timestamp_ms = 1,
                        .input_tokens = 33,
                        .block_tokens = 16,
                        .ids = {0, 1},
                        .output_ids = {2},
                        .conversation = 1,
                        .tenant = 1};
  TraceLine again = first;
  again.timestamp_ms = 7;
  again.hit_tokens = 32;
  again.lost_before = 3;
  const auto trace = read(to_text(first) + to_text(again));
  ASSERT_TRUE(trace.ok()) << trace.error().text;
  EXPECT_EQ(trace->block_tokens, 16u);
  const auto simulated = simulate(*trace, {.policy = "lru", .capacity_blocks = 2, .served = {}});
  ASSERT_TRUE(simulated.ok());
  EXPECT_EQ(simulated->hits * trace->block_tokens, again.hit_tokens);
}

TEST_F(ReplayReaderTest, WhatIsNoTraceIsNamedByFileAndLine) {
  const auto wrong = read("{\"timestamp\": 5, \"input_length\": 600, \"hash_ids\": [0]}\n\n{}\n");
  EXPECT_EQ(wrong.code(), Errc::kInvalidArgument);
  EXPECT_EQ(wrong.error().text, path_ + ":3: there is no timestamp");
}

TEST_F(ReplayReaderTest, BlocksOfTwoSizesAreNoOneTrace) {
  EXPECT_EQ(
      read(to_text({.block_tokens = 16, .ids = {0}}) + to_text({.block_tokens = 32, .ids = {1}}))
          .code(),
      Errc::kInvalidArgument);
}

TEST_F(ReplayReaderTest, IdWithTwoPredecessorsIsRefused) {
  EXPECT_EQ(read(to_text({.ids = {0, 1}}) + to_text({.ids = {2, 1}})).code(),
            Errc::kInvalidArgument);
}

}  // namespace
}  // namespace quire::bench::replay_reader_test
