#include "cache/ghosts/checkpoint_ghosts.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::cache::checkpoint_ghosts_test {
namespace {

constexpr uint32_t kUnit = 128;
constexpr uint32_t kBlock = 256;
constexpr int64_t kMinuteUs = 60'000'000;
// In the order of CheckpointGhosts::policies().
enum Policy : size_t { kNone, kBranch, kTurnEnds, kEvery16k, kEvery4k, kEvery1k, kAll };

// Keys of a context's units; equal for an equal `text`.
std::vector<uint64_t> keys(uint32_t tokens, uint64_t text) {
  std::vector<uint64_t> made(tokens / kUnit);
  for (size_t i = 0; i < made.size(); ++i) made[i] = (text * 100'003 + i + 1) * 0x9e3779b97f4a7c15;
  return made;
}

class Told {
 public:
  // A prompt of a text, of which `spans` tokens are present.
  CheckpointTotals match(uint32_t tokens, uint32_t spans, uint64_t text, uint32_t owner = 1) {
    return match_keys(keys(tokens, text), tokens, spans, owner, 0);
  }
  CheckpointTotals match_keys(const std::vector<uint64_t>& hashes, uint32_t tokens, uint32_t spans,
                              uint32_t owner, uint32_t diverged) {
    const CheckpointTotals before = day();
    ghosts_.matched({.time_us = time_us_,
                     .keys = hashes,
                     .block_tokens = kBlock,
                     .prompt_tokens = tokens,
                     .span_tokens = spans,
                     .facts = {.bytes = 1000,
                               .tail_bytes = 1100,
                               .unit_tokens = kUnit,
                               .own_step = own_step_,
                               .exact_tokens = 0,
                               .tail_tokens = 256,
                               .owner = owner,
                               .diverged = diverged}});
    CheckpointTotals more = day();
    for (size_t i = 0; i < more.rows.size(); ++i) {
      more.rows[i].exact_tokens -= before.rows[i].exact_tokens;
      more.rows[i].written_bytes -= before.rows[i].written_bytes;
    }
    return more;
  }
  CheckpointTotals day() const { return ghosts_.windows().totals(HitWindow::kDay, time_us_); }

  CheckpointGhosts ghosts_;
  int64_t time_us_ = 0;
  uint32_t own_step_ = 0;
};

TEST(CheckpointGhosts, ColdPromptWritesWhatEachPolicyWants) {
  Told told;
  const auto rows = told.match(2001, 0, 1).rows;  // 15 units; turn end 1920, before its tail 1664
  EXPECT_EQ(rows[kNone].written_bytes, 0u);
  EXPECT_EQ(rows[kBranch].written_bytes, 0u);
  EXPECT_EQ(rows[kTurnEnds].written_bytes, 1100u + 1100u) << "both cut a block";
  EXPECT_EQ(rows[kEvery1k].written_bytes, 1000u + 2200u) << "and 1024";
  EXPECT_EQ(rows[kAll].written_bytes, 7 * 1000u + 8 * 1100u);
  for (const auto& row : rows) EXPECT_EQ(row.exact_tokens, 0u);
}

TEST(CheckpointGhosts, NextTurnResumesWhereEachPolicyHasACheckpoint) {
  Told told;
  told.match(5000, 0, 1);
  const auto rows = told.match(9000, 4864, 1).rows;
  EXPECT_EQ(rows[kNone].exact_tokens, 0u);
  EXPECT_EQ(rows[kBranch].exact_tokens, 0u);
  EXPECT_EQ(rows[kTurnEnds].exact_tokens, 4992u) << "the turn end, inside the last block";
  EXPECT_EQ(rows[kEvery4k].exact_tokens, 4992u);
  EXPECT_EQ(rows[kAll].exact_tokens, 4992u);
  EXPECT_EQ(rows[kEvery4k].written_bytes, 1000u + 1000u) << "8192 and the end, 8960";
}

// Somebody else's prompt that leaves in the middle.
TEST(CheckpointGhosts, IntervalsServeWhoeverLeavesBetweenTurnEnds) {
  Told told;
  told.match(20'001, 0, 1);
  auto mixed = keys(12'000, 1);
  const auto other = keys(12'000, 2);
  std::copy(other.begin() + 10'240 / kUnit, other.end(), mixed.begin() + 10'240 / kUnit);
  const auto rows = told.match_keys(mixed, 12'000, 10'240, 2, 1).rows;
  EXPECT_EQ(rows[kTurnEnds].exact_tokens, 0u);
  EXPECT_EQ(rows[kEvery16k].exact_tokens, 0u);
  EXPECT_EQ(rows[kEvery4k].exact_tokens, 8192u);
  EXPECT_EQ(rows[kEvery1k].exact_tokens, 10'240u);
  EXPECT_EQ(rows[kAll].exact_tokens, 10'240u);
  // The next one that leaves there finds the branch point, under whichever policy has them.
  const auto again = told.match_keys(mixed, 10'500, 10'240, 3, 0).rows;
  EXPECT_EQ(again[kNone].exact_tokens, 0u);
  EXPECT_EQ(again[kBranch].exact_tokens, 10'240u);
  EXPECT_EQ(again[kEvery4k].exact_tokens, 10'240u);
}

TEST(CheckpointGhosts, LaterTurnEndsSupersedeEarlierOnesOfTheirConversation) {
  Told told;
  for (const uint32_t tokens : {3001u, 6001u, 9001u, 12'001u}) {
    told.match(tokens, tokens == 3001 ? 0 : (tokens - 3001) / kBlock * kBlock, 1);
  }
  // What is left: the last turn end, 11,904 or so, and the one before it.
  const auto rows = told.match(5000, 4864, 1, 9).rows;
  EXPECT_EQ(rows[kTurnEnds].exact_tokens, 0u);
  EXPECT_EQ(rows[kEvery4k].exact_tokens, 4096u) << "intervals stay";
  EXPECT_EQ(told.match(9100, 8960, 1, 9).rows[kTurnEnds].exact_tokens, 8960u);
}

TEST(CheckpointGhosts, WhereAStrangerResumesIsNotSuperseded) {
  Told told;
  told.match(3001, 0, 1);
  EXPECT_EQ(told.match(3500, 2816, 1, 9).rows[kTurnEnds].exact_tokens, 2944u);
  told.match(6001, 2816, 1);
  told.match(9001, 5888, 1);
  told.match(12'001, 8960, 1);
  EXPECT_EQ(told.match(3100, 2816, 1, 8).rows[kTurnEnds].exact_tokens, 2944u);
}

// Behind the block where prompts part a turn end may be somebody else's resume point.
TEST(CheckpointGhosts, BehindABranchNothingIsSuperseded) {
  Told told;
  told.match(3001, 0, 1);  // its end, 2944, hangs behind the block that ends at 2816
  auto mixed = keys(3500, 1);
  const auto other = keys(3500, 2);
  std::copy(other.begin() + 2816 / kUnit, other.end(), mixed.begin() + 2816 / kUnit);
  told.match_keys(mixed, 3500, 2816, 2, 1);
  told.match(6001, 2816, 1);
  told.match(9001, 5888, 1);
  told.match(12'001, 8960, 1);
  EXPECT_EQ(told.match(3100, 2816, 1, 8).rows[kTurnEnds].exact_tokens, 2944u);
}

TEST(CheckpointGhosts, OneWrittenBeforeATailTakesThePlaceOfWhereTheTurnResumed) {
  Told told;
  told.match(3001, 0, 1);
  told.match(30'001, 2816, 1);  // so far on that one before the tail is wanted, 29,696
  EXPECT_EQ(told.match(3100, 2816, 1, 8).rows[kTurnEnds].exact_tokens, 0u);
  EXPECT_EQ(told.match(29'800, 29'696, 1, 8).rows[kTurnEnds].exact_tokens, 29'696u);
}

TEST(CheckpointGhosts, LayoutsOwnIntervalsAreThereFromTurnEndsOn) {
  Told told;
  told.own_step_ = 512;
  told.match(3001, 0, 1);
  const auto rows = told.match(2000, 1792, 1, 9).rows;
  EXPECT_EQ(rows[kBranch].exact_tokens, 0u);
  EXPECT_EQ(rows[kTurnEnds].exact_tokens, 1536u);
}

// The checkpoint is gone when the span before it is: what the tiers lost counts.
TEST(CheckpointGhosts, NothingBehindTheSpansIsResumedFrom) {
  Told told;
  told.match(9000, 0, 1);
  const auto rows = told.match(9000, 1280, 1).rows;
  EXPECT_EQ(rows[kTurnEnds].exact_tokens, 0u);
  EXPECT_EQ(rows[kEvery1k].exact_tokens, 1024u);
}

TEST(CheckpointGhosts, HashesThatAreMissingAreNotAskedFor) {
  Told told;
  const auto few = keys(1000, 1);
  const auto rows = told.match_keys(few, 50'000, 768, 1, 0).rows;
  EXPECT_EQ(rows[kTurnEnds].exact_tokens, 0u);
  EXPECT_EQ(told.match_keys({}, 100, 0, 1, 0).rows[kAll].written_bytes, 0u);
}

TEST(CheckpointWindows, ForgetsWhatIsOlderThanTheWindow) {
  CheckpointWindows windows;
  EXPECT_EQ(windows.covered_us(HitWindow::kHour, kMinuteUs), 0);
  windows.add({.prompts = 1, .prompt_tokens = 10}, 5 * kMinuteUs);
  windows.add({.written_bytes = 7}, 30 * kMinuteUs);
  const int64_t now_us = 44 * kMinuteUs + 1;
  EXPECT_EQ(windows.totals(HitWindow::kQuarter, now_us).written_bytes, 7u);
  EXPECT_EQ(windows.totals(HitWindow::kQuarter, now_us).prompt_tokens, 0u);
  EXPECT_EQ(windows.totals(HitWindow::kHour, now_us).prompt_tokens, 10u);
  EXPECT_EQ(windows.totals(HitWindow::kDay, now_us).prompt_tokens, 10u);
  EXPECT_EQ(windows.covered_us(HitWindow::kHour, now_us), 39 * kMinuteUs + 1);
  EXPECT_EQ(windows.covered_us(HitWindow::kQuarter, now_us), 14 * kMinuteUs + 1);
  EXPECT_EQ(windows.totals(HitWindow::kHour, 70 * kMinuteUs).prompt_tokens, 0u);
  EXPECT_EQ(windows.totals(HitWindow::kDay, 23 * 60 * kMinuteUs).prompt_tokens, 10u);
  EXPECT_EQ(windows.totals(HitWindow::kDay, 30 * 60 * kMinuteUs).prompt_tokens, 0u);
}

TEST(CheckpointPlaces, FullTableForgetsAnotherPlaceAndStaysRight) {
  CheckpointPlaces places;
  for (uint64_t key = 1; key <= 3 * CheckpointPlaces::kPlaces; ++key) {
    CheckpointPlaces::Place& place = places.at(key);
    EXPECT_EQ(place.under, 0u) << "what was there is not this key's";
    place.under = static_cast<uint8_t>(1 + key % 127);
  }
  size_t known = 0;
  for (uint64_t key = 1; key <= 3 * CheckpointPlaces::kPlaces; ++key) {
    const auto* place = places.find(key);
    if (place == nullptr) continue;
    ++known;
    EXPECT_EQ(place->under, 1 + key % 127);
  }
  EXPECT_EQ(known, CheckpointPlaces::kPlaces);
  // What has no checkpoint left is the first to make room.
  CheckpointPlaces some;
  for (uint64_t i = 0; i < 8; ++i) some.at(1 + i * CheckpointPlaces::kPlaces).under = 1;
  some.find(1 + 5 * CheckpointPlaces::kPlaces)->under = 0;
  some.at(1 + 9 * CheckpointPlaces::kPlaces).under = 1;
  EXPECT_EQ(some.find(1 + 5 * CheckpointPlaces::kPlaces), nullptr);
  EXPECT_NE(some.find(1), nullptr);
}

}  // namespace
}  // namespace quire::cache::checkpoint_ghosts_test
