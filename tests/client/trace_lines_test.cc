// Records of a recording, put together to lines.
#include "client/quirectl/trace/trace_lines.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::client::trace_lines_test {
namespace {

using model::Errc;
using model::TraceRecord;
using model::TraceRecordKind;

std::string bytes_of(TraceRecord record, TraceRecordKind kind,
                     const std::vector<uint64_t>& keys = {}) {
  record.kind = static_cast<uint32_t>(kind);
  record.key_count = static_cast<uint32_t>(keys.size());
  std::string bytes(reinterpret_cast<const char*>(&record), sizeof(record));
  return bytes.append(reinterpret_cast<const char*>(keys.data()), keys.size() * sizeof(uint64_t));
}
std::string request(uint32_t turn, const std::vector<uint64_t>& keys, uint64_t conversation = 70) {
  return bytes_of({.time_us = turn * 1000,
                   .session = 5,
                   .turn = turn,
                   .block_tokens = 8,
                   .tokens = static_cast<uint32_t>(keys.size()) * 8 + 1,
                   .hit_tokens = 8,
                   .tenant = 900,
                   .conversation = conversation},
                  TraceRecordKind::kRequest, keys);
}
std::string written(uint32_t turn, uint32_t block, uint64_t key) {
  return bytes_of({.session = 5, .turn = turn, .blocks = block}, TraceRecordKind::kWritten, {key});
}
std::string end_of(uint32_t turn, uint32_t output_tokens) {
  return bytes_of({.session = 5, .turn = turn, .tokens = output_tokens}, TraceRecordKind::kTurnEnd);
}
std::string lost(uint64_t count) { return bytes_of({.count = count}, TraceRecordKind::kLost); }
std::string end(uint64_t lost_in_all) {
  return bytes_of({.count = lost_in_all}, TraceRecordKind::kEnd);
}

class TraceLinesTest : public testing::Test {
 protected:
  void take(const std::string& bytes) { ASSERT_TRUE(lines_.take(bytes).ok()); }

  std::vector<TraceLine> written_;
  TraceLines lines_{[this](const TraceLine& line) { written_.push_back(line); }};
};

TEST_F(TraceLinesTest, LineSaysWhatItsRequestBecame) {
  take(request(1, {1001, 1002}) + written(1, 1, 1002) + written(1, 2, 1003) + written(1, 3, 1004) +
       end_of(1, 17));
  ASSERT_EQ(written_.size(), 1u);
  const TraceLine& line = written_[0];
  EXPECT_EQ(line.timestamp_ms, 1);
  EXPECT_EQ(line.input_tokens, 17u);
  EXPECT_EQ(line.output_tokens, 17u);
  EXPECT_EQ(line.block_tokens, 8u);
  EXPECT_EQ(line.ids, (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(line.output_ids, (std::vector<uint32_t>{2, 3}));
  EXPECT_EQ(line.tenant, 1u);
  EXPECT_EQ(line.conversation, 1u);
}

TEST_F(TraceLinesTest, LinesStayInTheOrderOfTheirRequests) {
  take(request(1, {1}) + request(2, {1, 2}, 71) + end_of(2, 0));
  EXPECT_TRUE(written_.empty()) << "the first one is not over";
  take(end_of(1, 0));
  ASSERT_EQ(written_.size(), 2u);
  EXPECT_EQ(written_[0].timestamp_ms, 1);
  EXPECT_EQ(written_[1].timestamp_ms, 2);
  EXPECT_EQ(written_[1].ids, (std::vector<uint32_t>{0, 1})) << "a key has one number";
  EXPECT_EQ(written_[1].conversation, 2u);
  EXPECT_EQ(written_[1].tenant, 1u);
}

TEST_F(TraceLinesTest, TurnThatDoesNotEndHoldsUpABoundedNumber) {
  take(request(1, {1}));
  for (uint32_t turn = 2; turn <= TraceLines::kMostWaiting; ++turn) take(request(turn, {1}));
  EXPECT_TRUE(written_.empty());
  take(request(TraceLines::kMostWaiting + 1, {1}));
  EXPECT_EQ(written_.size(), 1u);
  take(end_of(1, 5));  // too late
  EXPECT_EQ(written_.size(), 1u);
  lines_.finish();
  EXPECT_EQ(written_.size(), TraceLines::kMostWaiting + 1);
}

TEST_F(TraceLinesTest, BlocksBehindAGapAreLeftOut) {
  take(request(1, {1}) + written(1, 1, 2) + written(1, 3, 4) + end_of(1, 0));
  EXPECT_EQ(written_.at(0).output_ids, (std::vector<uint32_t>{1}));
}

TEST_F(TraceLinesTest, WhatIsOfNoKnownRequestIsNoFault) {
  take(written(9, 1, 2) + end_of(9, 3) + request(1, {7}) + end_of(1, 0));
  EXPECT_EQ(written_.size(), 1u);
}

TEST_F(TraceLinesTest, LossIsToldAtItsPlaceAndInAll) {
  take(request(1, {1}) + end_of(1, 0) + lost(4) + lost(2) + request(2, {1}) + end_of(2, 0) +
       request(3, {1}) + end_of(3, 0));
  EXPECT_EQ(written_.at(0).lost_before, 0u);
  EXPECT_EQ(written_.at(1).lost_before, 6u);
  EXPECT_EQ(written_.at(2).lost_before, 0u);
  EXPECT_FALSE(lines_.totals().complete);
  take(end(7));
  EXPECT_TRUE(lines_.totals().complete);
  EXPECT_EQ(lines_.totals().lost_records, 7u) << "one more behind the last request";
  EXPECT_EQ(lines_.totals().requests, 3u);
  EXPECT_EQ(lines_.totals().hit_tokens, 24u);
}

TEST_F(TraceLinesTest, StreamMayBeCutAnywhere) {
  const std::string bytes = request(1, {1001, 1002}) + written(1, 2, 1003) + end_of(1, 17) + end(0);
  for (const char byte : bytes) take(std::string(1, byte));
  ASSERT_EQ(written_.size(), 1u);
  EXPECT_EQ(written_[0].output_ids, (std::vector<uint32_t>{2}));
  EXPECT_TRUE(lines_.totals().complete);
}

TEST_F(TraceLinesTest, CutPromptHasNoOutputIds) {
  TraceRecord cut{.session = 5, .turn = 1, .block_tokens = 8, .tokens = 33, .blocks = 3};
  take(bytes_of(cut, TraceRecordKind::kRequest, {1}) + written(1, 1, 2) + end_of(1, 0));
  EXPECT_EQ(written_.at(0).cut_blocks, 3u);
  EXPECT_TRUE(written_.at(0).output_ids.empty()) << "it would not follow on what is named";
  EXPECT_EQ(lines_.totals().cut_requests, 1u);
}

TEST_F(TraceLinesTest, BytesThatAreNoRecordsAreRefused) {
  EXPECT_EQ(lines_.take(std::string(sizeof(TraceRecord), '\xff')).code(), Errc::kMalformedFrame);
  TraceRecord large{.kind = 1, .key_count = model::kMaxTraceKeys + 1};
  EXPECT_EQ(TraceLines([](const TraceLine&) {})
                .take({reinterpret_cast<const char*>(&large), sizeof(large)})
                .code(),
            Errc::kMalformedFrame);
}

}  // namespace
}  // namespace quire::client::trace_lines_test
