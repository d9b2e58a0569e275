#include "model/session_shm.h"

#include <gtest/gtest.h>

#include <cstddef>

#include "model/limits.h"

namespace quire::model::session_shm_test {
namespace {

TEST(SessionShm, AlignUp) {
  EXPECT_EQ(align_up(0, 64), 0u);
  EXPECT_EQ(align_up(1, 64), 64u);
  EXPECT_EQ(align_up(64, 64), 64u);
  EXPECT_EQ(align_up(37'376, 576), 37'440u);
}

TEST(SessionShm, ControlAreasDoNotOverlap) {
  const ControlGeometry geometry = control_geometry(256, 8192);
  EXPECT_GE(geometry.submissions_offset, sizeof(ControlHeader));
  EXPECT_GE(geometry.hashes_offset, geometry.submissions_offset + 256 * sizeof(Submission));
  EXPECT_GE(geometry.bytes, geometry.hashes_offset + 8192 * sizeof(Hash256));
  EXPECT_EQ(geometry.bytes % 4096, 0u);
}

TEST(SessionShm, ReplyAreasDoNotOverlap) {
  const ReplyGeometry geometry = reply_geometry(256, 8192);
  EXPECT_GE(geometry.completions_offset, sizeof(ReplyHeader));
  EXPECT_GE(geometry.descriptors_offset, geometry.completions_offset + 256 * sizeof(Completion));
  EXPECT_GE(geometry.bytes, geometry.descriptors_offset + 8192 * sizeof(PageDescriptor));
  EXPECT_EQ(geometry.bytes % 4096, 0u);
}

TEST(SessionShm, LargestSizesDoNotWrap) {
  const ControlGeometry control = control_geometry(kMaxRingEntries, kMaxUnits);
  EXPECT_EQ(control.bytes, 4096u + 4096u * 64 + (uint64_t{kMaxUnits} << 5));
  const ReplyGeometry reply = reply_geometry(kMaxRingEntries, kMaxLoadPages);
  EXPECT_EQ(reply.bytes, 4096u + 4096u * 128 + (uint64_t{kMaxLoadPages} << 5));
}

TEST(SessionShm, SmallestRingStillHasWholePages) {
  const ControlGeometry geometry = control_geometry(kMinRingEntries, 1);
  EXPECT_EQ(geometry.hashes_offset, 8192u);
  EXPECT_EQ(geometry.bytes, 12'288u);
}

TEST(SessionShm, EachWordHasACacheLineOfItsOwn) {
  EXPECT_EQ(offsetof(ControlHeader, completion_head), 64u);
  EXPECT_EQ(offsetof(ControlHeader, client_sleeping), 128u);
  EXPECT_EQ(offsetof(ReplyHeader, completion_tail), 64u);
  EXPECT_EQ(offsetof(ReplyHeader, closed), 192u);
  EXPECT_EQ(offsetof(ProgressHeader, ready_tokens), 64u);
}

TEST(SessionShm, LoadProgressFollowsTheRingsWordsAndStartsAtNothing) {
  EXPECT_EQ(offsetof(ReplyHeader, load_ready), 256u);
  EXPECT_EQ(sizeof(ReplyHeader::load_ready), 4u * kLoadProgressSlots);
  const ReplyHeader header;
  for (const auto& ready : header.load_ready) EXPECT_EQ(ready.load(), 0u);
}

TEST(SessionShm, ArgumentsAndResultsOfTieredLoadsHaveTheirPlaces) {
  EXPECT_EQ(offsetof(MatchArgs, prefill_us_per_ktoken), 20u);
  EXPECT_EQ(offsetof(MatchArgs, prefill_us_per_ktoken_per_mtoken), 24u);
  EXPECT_EQ(offsetof(LoadArgs, order), 32u);
  EXPECT_EQ(offsetof(LoadArgs, progress_slot), 34u);
  EXPECT_EQ(offsetof(MatchResult, cut_tokens), 28u);
  EXPECT_EQ(offsetof(MatchResult, replay_exact), 54u);
}

TEST(SessionShm, TokensAreFoundByTheirTier) {
  MatchResult match{};
  match.tokens[TierId::kSsd] = 7;
  EXPECT_EQ(match.tokens.of[1], 7u);
  EXPECT_EQ(match.tokens[TierId::kRam] + match.tokens[TierId::kCluster], 0u);
  EXPECT_EQ(match.tokens.of.size(), kTierPlaces);
}

}  // namespace
}  // namespace quire::model::session_shm_test
