// When `auto` changes, and when it does not.
#include "cache/ghosts/auto_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace quire::cache::auto_policy_test {
namespace {

GhostRow row(std::string_view policy, double percent, double error = 0) {
  return {.policy = policy, .hits = {.percent = percent, .error_points = error}};
}

class Looks {
 public:
  std::string_view look(const std::vector<GhostRow>& rows, double tier_percent = 30) {
    choice_.look(rows, tier_percent);
    return choice_.chosen();
  }
  std::string_view chosen() const { return choice_.chosen(); }

 private:
  AutoPolicy choice_;
};

TEST(AutoPolicy, GoesOnToTheOneThatLeadsForMinutes) {
  Looks looks;
  const std::vector<GhostRow> rows{row("lru", 40), row(AutoPolicy::kFirst, 30)};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(looks.look(rows), AutoPolicy::kFirst);
  EXPECT_EQ(looks.look(rows), "lru");
  EXPECT_EQ(looks.look(rows), "lru");
}

TEST(AutoPolicy, LeadThatTheSampleLeavesOpenIsNone) {
  Looks looks;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(looks.look({row("lru", 33, 2), row(AutoPolicy::kFirst, 30, 0.1)}),
              AutoPolicy::kFirst);
    EXPECT_EQ(looks.look({row("lru", 30.9), row(AutoPolicy::kFirst, 30)}), AutoPolicy::kFirst);
  }
}

TEST(AutoPolicy, LeadersThatTakeTurnsDoNotMakeItFlap) {
  Looks looks;
  for (int i = 0; i < 20; ++i) {
    const bool odd = i % 2 == 1;
    EXPECT_EQ(looks.look({row("lru", odd ? 40 : 35), row("arc", odd ? 35 : 40),
                          row(AutoPolicy::kFirst, 30)}),
              AutoPolicy::kFirst);
  }
}

TEST(AutoPolicy, WhoIsInChargeCountsByWhatTheTierHit) {
  Looks looks;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(looks.look({row("lru", 35), row(AutoPolicy::kFirst, 34)}, 34.5), AutoPolicy::kFirst);
  }
}

// Its ghost says five points too little: so may others say five too much.
TEST(AutoPolicy, LeadThatGhostsAreOffByIsNone) {
  Looks looks;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(looks.look({row("lru", 34), row(AutoPolicy::kFirst, 25)}, 30), AutoPolicy::kFirst);
  }
  for (int i = 0; i < 5; ++i) looks.look({row("lru", 34), row(AutoPolicy::kFirst, 29)}, 30);
  EXPECT_EQ(looks.look({row("lru", 34)}, 30), "lru");
}

// It was promised 40, and the tier hits 20 since.
TEST(AutoPolicy, OneThatDisappointsIsTakenBack) {
  Looks looks;
  for (int i = 0; i < 5; ++i) looks.look({row("lru", 40), row(AutoPolicy::kFirst, 30)});
  const std::vector<GhostRow> rows{row("lru", 22), row(AutoPolicy::kFirst, 30)};
  for (int i = 0; i < 5; ++i) looks.look(rows, 20);
  EXPECT_EQ(looks.look(rows, 20), AutoPolicy::kFirst);
}

// The ghost of the one in charge says 10 points more than there were: so may any other's.
TEST(AutoPolicy, LeadWithinWhatGhostsAreOffIsNone) {
  Looks looks;
  const std::vector<GhostRow> rows{row("lru", 39), row(AutoPolicy::kFirst, 40)};
  for (int i = 0; i < 20; ++i) EXPECT_EQ(looks.look(rows, 30), AutoPolicy::kFirst);
}

TEST(AutoPolicy, LeadOverTheTierCountsThoughItsGhostSaysMore) {
  Looks looks;
  const std::vector<GhostRow> rows{row("lru", 34), row(AutoPolicy::kFirst, 32)};
  for (int i = 0; i < 5; ++i) looks.look(rows, 30);
  EXPECT_EQ(looks.chosen(), "lru");
}

TEST(AutoPolicy, StaysWhereAllHitTheSame) {
  const auto ghosts = Ghosts::create({.capacity_bytes = 1 << 20}).value();
  AutoPolicy choice;
  for (int64_t second = 0; second < 600; ++second) {
    EXPECT_EQ(choice.choose(*ghosts, second * 1'000'000), AutoPolicy::kFirst);
  }
}

}  // namespace
}  // namespace quire::cache::auto_policy_test
