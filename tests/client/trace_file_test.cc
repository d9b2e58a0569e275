#include "client/quirectl/trace/trace_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace quire::client::trace_file_test {
namespace {

using model::Errc;

std::string refusal(const std::string& text) {
  const auto line = parse_trace_line(text);
  EXPECT_EQ(line.code(), Errc::kInvalidArgument) << text;
  return line.ok() ? std::string() : line.error().text;
}

TEST(TraceFile, LineIsReadAsItIsWritten) {
  const TraceLine line{.timestamp_ms = 27482,
                       .input_tokens = 6955,
                       .output_tokens = 52,
                       .block_tokens = 256,
                       .ids = {46, 47, 4'000'000'000},
                       .output_ids = {48},
                       .hit_tokens = 256,
                       .conversation = 3,
                       .tenant = 1,
                       .cut_blocks = 2,
                       .lost_before = 9};
  const auto read = parse_trace_line(to_text(line));
  ASSERT_TRUE(read.ok()) << read.error().text;
  EXPECT_EQ(to_text(*read), to_text(line));
  EXPECT_EQ(read->ids, line.ids);
  EXPECT_EQ(read->lost_before, 9u);
}

TEST(TraceFile, LineBeginsAsMooncakesDo) {
  EXPECT_EQ(
      to_text({.timestamp_ms = 5, .input_tokens = 600, .output_tokens = 3, .ids = {0, 1}})
          .substr(0, 78),
      "{\"timestamp\": 5, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [0, 1], ");
}

TEST(TraceFile, WhatIsWrongIsSaid) {
  EXPECT_EQ(refusal("[1]"), "no JSON object");
  EXPECT_EQ(refusal("{\"timestamp\": 1").substr(0, 8), "no JSON:");
  EXPECT_EQ(refusal("{\"timestamp\": 1, \"hash_ids\": []}"), "there is no input_length");
  EXPECT_EQ(refusal("{\"timestamp\": 1, \"input_length\": -4, \"hash_ids\": []}"),
            "input_length must be a whole number from 0 to 4294967295, not -4");
  EXPECT_EQ(refusal("{\"timestamp\": 1, \"input_length\": 4, \"hash_ids\": [1, 2.5]}"),
            "an id of hash_ids must be a whole number from 0 to 4294967295, not 2.5E0");
  EXPECT_EQ(refusal("{\"timestamp\": 1, \"input_length\": 4, \"hash_ids\": 7}"),
            "hash_ids must be a list of numbers");
  EXPECT_EQ(refusal("{\"timestamp\": 1, \"input_length\": 4, \"hash_ids\": [4294967296]}"),
            "an id of hash_ids must be a whole number from 0 to 4294967295, not 4294967296");
  EXPECT_EQ(
      refusal("{\"timestamp\": 1, \"input_length\": 4, \"hash_ids\": [], \"block_tokens\": 0}"),
      "block_tokens must not be 0");
}

class TraceFileOnDisk : public testing::Test {
 protected:
  ~TraceFileOnDisk() override { std::filesystem::remove(path_); }
  model::Result<void> read(const std::string& text) {
    std::ofstream(path_) << text;
    return for_each_trace_line(path_, [&](const TraceLine& line) {
      seen_.push_back(line.timestamp_ms);
      return seen_.size() < 2;
    });
  }

  const std::string path_ =
      testing::TempDir() + "trace-file-" + std::to_string(::getpid()) + ".jsonl";
  std::vector<int64_t> seen_;
};

TEST_F(TraceFileOnDisk, LinesComeInTheirOrderUntilNoMoreIsWanted) {
  ASSERT_TRUE(
      read(to_text({.timestamp_ms = 8}) + "\n" + to_text({.timestamp_ms = 3}) + "rubbish").ok());
  EXPECT_EQ(seen_, (std::vector<int64_t>{8, 3}));
}

TEST_F(TraceFileOnDisk, WrongLineIsNamedByFileAndNumber) {
  const auto wrong = read(to_text({.timestamp_ms = 8}) + "\nrubbish\n");
  ASSERT_EQ(wrong.code(), Errc::kInvalidArgument);
  EXPECT_EQ(wrong.error().text.find(path_ + ":3: no JSON"), 0u) << wrong.error().text;
}

TEST_F(TraceFileOnDisk, FileWithoutARequestIsNoTrace) {
  EXPECT_EQ(read("").code(), Errc::kInvalidArgument);
  EXPECT_EQ(read("\n  \n").error().text, path_ + " holds no request of a trace");
}

TEST(TraceFile, FileThatIsNotThereIsAnErrorOfTheWorld) {
  const auto none =
      for_each_trace_line("/nowhere/trace.jsonl", [](const TraceLine&) { return true; });
  EXPECT_EQ(none.code(), Errc::kIoError);
}

}  // namespace
}  // namespace quire::client::trace_file_test
