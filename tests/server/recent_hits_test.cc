#include "server/rings/recent_hits.h"

#include <gtest/gtest.h>

namespace quire::server::recent_hits_test {
namespace {

constexpr int64_t kPart = RecentHits::kPartNs;
constexpr int64_t kMinute = RecentHits::kParts * kPart;

TEST(RecentHits, AreOfTheLastMinute) {
  RecentHits hits;
  EXPECT_EQ(hits.sum(0).prompt_tokens, 0u);
  hits.add(0, 100, 10);
  hits.add(kMinute / 2, 50, 50);
  EXPECT_EQ(hits.sum(kMinute / 2).prompt_tokens, 150u);
  EXPECT_EQ(hits.sum(kMinute / 2).hit_tokens, 60u);
  EXPECT_EQ(hits.sum(kMinute).prompt_tokens, 50u) << "the first is over";
  EXPECT_EQ(hits.sum(3 * kMinute).prompt_tokens, 0u) << "whoever asks, and nobody added";
}

TEST(RecentHits, APartOfAnEarlierMinuteBeginsAnew) {
  RecentHits hits;
  hits.add(kPart, 100, 10);
  hits.add(kPart + kMinute, 1, 1);
  EXPECT_EQ(hits.sum(kPart + kMinute).prompt_tokens, 1u);
}

}  // namespace
}  // namespace quire::server::recent_hits_test
