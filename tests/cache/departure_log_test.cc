#include "cache/objects/departure_log.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/cache/policy_rig.h"

namespace quire::cache::departure_log_test {
namespace {

using model::TierId;

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kOneBucket = 128;
constexpr uint32_t kOfABucket = 10;

class DepartureLogTest : public testing::Test {
 protected:
  void open(uint64_t bytes) { log_ = DepartureLog::create(bytes, 7).value(); }
  uint64_t print(uint32_t number, NodeKind kind = NodeKind::kSpan, uint32_t root = 0) const {
    return log_->print_of(PolicyRig::key(1'000'000 + root), kind, PolicyRig::key(number));
  }
  void note(uint32_t number, bool gone = true) {
    log_->note(print(number), {DepartureCause::kPolicy, "lru"}, TierId::kRam, gone);
  }

  std::unique_ptr<DepartureLog> log_ = DepartureLog::create(1 << 20, 7).value();
};

TEST_F(DepartureLogTest, TellsWhenWhyAndFromWhereOneLeft) {
  log_->set_now(5 * kSecond);
  log_->note(print(1), {DepartureCause::kQuota, "arc"}, TierId::kSsd, true);
  const LastDeparture left = log_->find(print(1));
  EXPECT_EQ(left.at_s, 6u) << "0 is never";
  EXPECT_EQ(left.cause, DepartureCause::kQuota);
  EXPECT_EQ(left.policy, "arc");
  EXPECT_EQ(left.tier, TierId::kSsd);
  EXPECT_TRUE(left.gone);
  EXPECT_FALSE(log_->find(print(2)).known());
  EXPECT_EQ(log_->forgotten_s(print(2)), 0u);
}

TEST_F(DepartureLogTest, SpansCheckpointsAndRootsAreToldApart) {
  note(1);
  EXPECT_FALSE(log_->find(print(1, NodeKind::kCheckpoint)).known());
  EXPECT_FALSE(log_->find(print(1, NodeKind::kSpan, 1)).known());
}

TEST_F(DepartureLogTest, LastDepartureOfAKeyCounts) {
  open(kOneBucket);
  for (uint32_t i = 0; i < 3 * kOfABucket; ++i) {
    log_->note(print(1), {DepartureCause::kPolicy, "lru"}, TierId::kRam, true);
  }
  log_->note(print(1), {DepartureCause::kOperator}, TierId::kSsd, true);
  EXPECT_EQ(log_->find(print(1)).cause, DepartureCause::kOperator);
  EXPECT_EQ(log_->find(print(1)).policy, "");
  EXPECT_EQ(log_->forgotten_s(print(1)), 0u) << "one key takes one place";
}

TEST_F(DepartureLogTest, OldestGoesFirstAndItsTimeIsTold) {
  open(kOneBucket);
  for (uint32_t i = 1; i <= kOfABucket; ++i) {
    log_->set_now(i * kSecond);
    note(i);
  }
  EXPECT_EQ(log_->forgotten_s(print(1)), 0u);
  log_->set_now(100 * kSecond);
  note(11);
  EXPECT_FALSE(log_->find(print(1)).known());
  EXPECT_EQ(log_->forgotten_s(print(1)), 2u) << "that of the first";
  for (uint32_t i = 2; i <= 11; ++i) EXPECT_TRUE(log_->find(print(i)).known()) << i;
}

TEST_F(DepartureLogTest, WhatLeftOneTierOnlyMakesWayForWhatLeftTheHost) {
  open(kOneBucket);
  for (uint32_t i = 1; i <= kOfABucket; ++i) note(i, /*gone=*/i % 2 == 0);
  for (uint32_t i = 11; i <= 15; ++i) note(i);
  for (uint32_t i = 2; i <= kOfABucket; i += 2) EXPECT_TRUE(log_->find(print(i)).known()) << i;
  for (uint32_t i = 11; i <= 15; ++i) EXPECT_TRUE(log_->find(print(i)).known()) << i;
  EXPECT_EQ(log_->forgotten_s(print(1)), 0u) << "nothing that left the host was forgotten";
  note(16, /*gone=*/false);
  EXPECT_FALSE(log_->find(print(16)).known());
  EXPECT_EQ(log_->forgotten_s(print(16)), 0u);
}

TEST_F(DepartureLogTest, WhatWasNeverWholeNamesAGroup) {
  log_->note_incomplete(print(3), 5);
  EXPECT_EQ(log_->find(print(3)).cause, DepartureCause::kIncomplete);
  EXPECT_EQ(log_->find(print(3)).group, 5u);
}

// Never a wrong certainty: whatever was noted is found, or its bucket says that it forgot.
TEST_F(DepartureLogTest, WhateverIsNotFoundIsSaidToBeForgotten) {
  constexpr uint32_t kNoted = 50'000;
  open(kOneBucket * kNoted / kOfABucket / 2);
  for (uint32_t i = 0; i < kNoted; ++i) {
    log_->set_now(int64_t{i} * kSecond);
    note(i);
  }
  uint32_t found = 0;
  for (uint32_t i = 0; i < kNoted; ++i) {
    const bool known = log_->find(print(i)).known();
    found += known ? 1 : 0;
    EXPECT_TRUE(known || log_->forgotten_s(print(i)) > i) << i;
  }
  EXPECT_GT(found, kNoted / 2 - kNoted / 50) << "it uses its memory";
  EXPECT_LE(found, kNoted / 2);
  EXPECT_LE(log_->held_bytes(), kOneBucket * kNoted / kOfABucket / 2 + 4096);
}

TEST_F(DepartureLogTest, TimeBeginsWhenItIsFirstTold) {
  EXPECT_EQ(log_->begun_s(), 0u);
  log_->set_now(9 * kSecond);
  log_->set_now(20 * kSecond);
  log_->set_now(11 * kSecond);
  EXPECT_EQ(log_->begun_s(), 10u);
  EXPECT_EQ(log_->now_s(), 21u) << "it never goes back";
}

}  // namespace
}  // namespace quire::cache::departure_log_test
