#include "tiering/demotion/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace quire::tiering::admission_test {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr uint64_t kDay = 24ull << 30;    // bytes a day
constexpr uint64_t kHourBytes = 1 << 30;  // of them
constexpr uint64_t kPiece = 1 << 20;

model::Hash256 hash_of(uint64_t id) {
  std::mt19937_64 random(id);
  model::Hash256 hash;
  for (uint8_t& byte : hash.bytes) byte = static_cast<uint8_t>(random());
  return hash;
}

Admission with_budget(uint64_t bytes_per_day, int64_t now_ns = 0) {
  return Admission({.bytes_per_day = bytes_per_day}, now_ns);
}

AdmissionVerdict admit(Admission& admission, uint64_t bytes, int64_t now_ns) {
  return admission.admit({.first_span = hash_of(1), .bytes = bytes}, now_ns);
}

// Bytes admitted piece by piece until one is refused.
uint64_t spend(Admission& admission, int64_t now_ns) {
  uint64_t bytes = 0;
  while (admit(admission, kPiece, now_ns) == AdmissionVerdict::kAdmitted) bytes += kPiece;
  return bytes;
}

TEST(Admission, RulesHaveNames) {
  for (const auto rule :
       {AdmissionRule::kAll, AdmissionRule::kInteractive, AdmissionRule::kSecondUse}) {
    const auto parsed = parse_admission_rule(admission_rule_name(rule));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, rule);
  }
  for (const char* word : {"", "ALL", "second_use", "all "}) {
    EXPECT_EQ(parse_admission_rule(word).code(), model::Errc::kInvalidArgument);
  }
  EXPECT_NE(parse_admission_rule("x").error().text.find("second-use"), std::string::npos);
  EXPECT_NE(parse_admission_rule("x").error().text.find("policy"), std::string::npos);
}

TEST(Admission, WithoutALimitEverythingIsAdmitted) {
  Admission admission({}, 0);
  EXPECT_EQ(admission.budget_left_bytes(0), UINT64_MAX);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(admit(admission, 1ull << 40, 0), AdmissionVerdict::kAdmitted);
  }
  EXPECT_EQ(admission.counters().admitted_bytes, 100ull << 40);
}

TEST(Admission, ABurstSpendsAtMostAnHour) {
  Admission admission = with_budget(kDay);
  EXPECT_EQ(admission.budget_left_bytes(0), kHourBytes);
  EXPECT_EQ(spend(admission, 0), kHourBytes);
  EXPECT_EQ(admission.budget_left_bytes(0), 0u);
  EXPECT_EQ(admission.counters().refused_by_budget, 1u);
  EXPECT_EQ(admission.counters().admitted, kHourBytes / kPiece);
}

TEST(Admission, TheBucketRefillsEvenly) {
  Admission admission = with_budget(kDay, 77 * kHour);
  spend(admission, 77 * kHour);
  EXPECT_EQ(admission.budget_left_bytes(77 * kHour + kHour / 2), kHourBytes / 2);
  EXPECT_EQ(spend(admission, 77 * kHour + kHour / 4), kHourBytes / 4);
  EXPECT_EQ(admit(admission, kPiece, 77 * kHour + kHour / 4), AdmissionVerdict::kRefusedByBudget);
  EXPECT_EQ(spend(admission, 77 * kHour + kHour / 2), kHourBytes / 4);
}

TEST(Admission, ManySmallStepsRefillAsMuchAsOneLargeOne) {
  Admission admission = with_budget(1000);  // less than a byte a minute
  EXPECT_EQ(admit(admission, 41, 0), AdmissionVerdict::kAdmitted);
  for (int64_t now = 0; now <= kHour; now += kSecond / 2) admit(admission, 1000, now);
  EXPECT_EQ(admission.counters().admitted, 2u);  // the full bucket's one, after an hour less 0.67 B
  EXPECT_EQ(admission.counters().admitted_bytes, 1041u);
}

TEST(Admission, AWholeDayIsTheBudgetAndTheFirstHour) {
  Admission admission = with_budget(kDay);
  uint64_t bytes = 0;
  for (int64_t now = 0; now <= 24 * kHour; now += 7 * kSecond) bytes += spend(admission, now);
  EXPECT_LE(bytes, kDay + kHourBytes);
  EXPECT_GE(bytes, kDay + kHourBytes - kHourBytes / 100);
}

TEST(Admission, AClockThatJumpsAheadRefillsAnHourAtMost) {
  Admission admission = with_budget(kDay);
  spend(admission, 0);
  EXPECT_EQ(admission.budget_left_bytes(10'000 * kHour), kHourBytes);
  EXPECT_EQ(spend(admission, INT64_MAX), kHourBytes);
}

TEST(Admission, AClockThatStepsBackRefillsNothing) {
  Admission admission = with_budget(kDay, 10 * kHour);
  spend(admission, 10 * kHour);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(spend(admission, 9 * kHour), 0u);
    EXPECT_EQ(spend(admission, 10 * kHour), 0u);
  }
  EXPECT_EQ(spend(admission, INT64_MIN), 0u);
  EXPECT_EQ(spend(admission, 10 * kHour + kHour / 2), kHourBytes / 2);
}

TEST(Admission, ALargeObjectTakesAFullBucketAndLeavesADebt) {
  Admission admission = with_budget(kDay);
  EXPECT_EQ(admit(admission, 3 * kHourBytes, 0), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admission.budget_left_bytes(0), 0u);
  EXPECT_EQ(admission.budget_left_bytes(2 * kHour - kSecond), 0u);
  EXPECT_EQ(admit(admission, kPiece, 2 * kHour), AdmissionVerdict::kRefusedByBudget);
  EXPECT_EQ(admit(admission, kPiece, 2 * kHour + kHour / 2), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admit(admission, 3 * kHourBytes, 2 * kHour + kHour / 2),
            AdmissionVerdict::kRefusedByBudget);
  EXPECT_EQ(admit(admission, 3 * kHourBytes, 4 * kHour), AdmissionVerdict::kAdmitted);
}

AdmissionVerdict admit_for(Admission& admission, std::string_view tenant, uint64_t bytes,
                           int64_t now_ns) {
  return admission.admit({.first_span = hash_of(1), .tenant = tenant, .bytes = bytes}, now_ns);
}

TEST(Admission, ATenantThatSpentItsOwnKeepsNobodyElseAway) {
  Admission admission({.bytes_per_day = 3 * kDay, .tenant_bytes_per_day = kDay}, 0);
  EXPECT_EQ(admit_for(admission, "a", kHourBytes, 0), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admit_for(admission, "a", 1, 0), AdmissionVerdict::kRefusedByBudget);
  EXPECT_EQ(admit_for(admission, "b", kHourBytes, 0), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admission.counters().refused_by_tenant_budget, 1u);
  EXPECT_EQ(admission.counters().refused_by_budget, 0u);
  EXPECT_EQ(admission.budget_left_bytes(0), kHourBytes) << "what was refused cost nothing";
  EXPECT_EQ(admit_for(admission, "a", kHourBytes / 2, kHour / 2), AdmissionVerdict::kAdmitted);
}

TEST(Admission, WhatTheTierRefusesCostsItsTenantNothing) {
  Admission admission({.bytes_per_day = kDay, .tenant_bytes_per_day = kDay}, 0);
  EXPECT_EQ(admit_for(admission, "a", kHourBytes, 0), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admit_for(admission, "b", 3 * kHourBytes, 0), AdmissionVerdict::kRefusedByBudget);
  EXPECT_EQ(admission.counters().refused_by_budget, 1u);
  EXPECT_EQ(admission.counters().refused_by_tenant_budget, 0u);
  EXPECT_EQ(admit_for(admission, "b", kHourBytes, kHour), AdmissionVerdict::kAdmitted);
}

TEST(WriteBudgets, WhatIsFullAgainIsForgotten) {
  WriteBudgets budgets(kDay);
  budgets.of("owes much", 0).take(2 * kHourBytes, 0);
  for (size_t i = 0; i < 3 * WriteBudgets::kMaxNames; ++i) {
    WriteBudget& budget = budgets.of(std::to_string(i), kHour);
    ASSERT_TRUE(budget.is_full(kHour));
    ASSERT_LE(budgets.count(), WriteBudgets::kMaxNames);
  }
  EXPECT_EQ(budgets.of("owes much", kHour).left_bytes(kHour), 0u);
}

// Law 10: and nobody gets a bucket for nothing.
TEST(WriteBudgets, WhoComesWhileAllOweSharesOne) {
  WriteBudgets budgets(kDay);
  for (size_t i = 0; i < WriteBudgets::kMaxNames + 10; ++i) {
    budgets.of(std::to_string(i), 0).take(kPiece, 0);
  }
  EXPECT_EQ(budgets.count(), WriteBudgets::kMaxNames);
  EXPECT_EQ(budgets.of("0", 0).left_bytes(0), kHourBytes - kPiece);
  EXPECT_EQ(budgets.of("new", 0).left_bytes(0), kHourBytes - 11 * kPiece);
  EXPECT_EQ(&budgets.of("new", 0), &budgets.of("newer", 0));
}

TEST(Admission, InteractiveRefusesBatch) {
  Admission admission({.rule = AdmissionRule::kInteractive}, 0);
  EXPECT_EQ(admission.admit({.first_span = hash_of(1), .batch_class = true, .bytes = 1}, 0),
            AdmissionVerdict::kRefusedByRule);
  EXPECT_EQ(admit(admission, 1, 0), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admission.counters().refused_by_rule, 1u);
}

TEST(Admission, SecondUseAdmitsWhatWasUsedTwice) {
  Admission admission({.rule = AdmissionRule::kSecondUse, .bytes_per_day = kDay}, 0);
  EXPECT_EQ(admit(admission, 1, 0), AdmissionVerdict::kRefusedByRule);
  admission.note_use(hash_of(1));
  EXPECT_EQ(admit(admission, 1, 0), AdmissionVerdict::kRefusedByRule);
  EXPECT_EQ(admission.budget_left_bytes(0), kHourBytes);
  admission.note_use(hash_of(1));
  EXPECT_EQ(admit(admission, 1, 0), AdmissionVerdict::kAdmitted);
  EXPECT_EQ(admission.admit({.first_span = hash_of(2), .bytes = 1}, 0),
            AdmissionVerdict::kRefusedByRule);
  EXPECT_EQ(admission.counters().refused_by_rule, 3u);
}

TEST(Admission, FrequencyIsNeverTooSmallAndSeldomTooLarge) {
  Admission admission({}, 0);
  std::mt19937_64 random(5);
  std::map<uint64_t, uint32_t> truth;
  for (int i = 0; i < 60'000; ++i) {
    const uint64_t id = random() % 30'000;
    admission.note_use(hash_of(id));
    ++truth[id];
  }
  uint64_t wrong = 0;
  for (const auto& [id, count] : truth) {
    const uint32_t frequency = admission.frequency(hash_of(id));
    ASSERT_GE(frequency, std::min(count, kMaxFrequency));
    wrong += frequency != std::min(count, kMaxFrequency) ? 1 : 0;
  }
  EXPECT_LT(wrong, truth.size() / 50);
  uint64_t false_second = 0;
  for (uint64_t id = 100'000; id < 110'000; ++id) {
    false_second += admission.frequency(hash_of(id)) >= 2 ? 1 : 0;
  }
  EXPECT_LT(false_second, 200u);
}

TEST(Admission, FrequencyEndsAtItsMaximum) {
  Admission admission({}, 0);
  for (uint32_t i = 1; i < 1000; ++i) {
    admission.note_use(hash_of(3));
    ASSERT_EQ(admission.frequency(hash_of(3)), std::min(i, kMaxFrequency));
  }
}

// Counters next to each other in a word must not leak into each other.
TEST(Admission, NeighboursStayApart) {
  Admission admission({}, 0);
  const auto at = [](uint8_t counter) {
    model::Hash256 hash;
    for (uint32_t row = 0; row < kSketchRows; ++row) hash.bytes[8 * row] = counter;
    return hash;
  };
  for (int i = 0; i < 100; ++i) admission.note_use(at(13));
  for (uint8_t counter = 0; counter < 64; ++counter) {
    EXPECT_EQ(admission.frequency(at(counter)), counter == 13 ? kMaxFrequency : 0u);
  }
  for (uint64_t i = 100; i < 8ull * kSketchWidth; ++i) admission.note_use(hash_of(1));
  for (uint8_t counter = 0; counter < 64; ++counter) {
    EXPECT_EQ(admission.frequency(at(counter)), counter == 13 ? kMaxFrequency / 2 : 0u);
  }
}

TEST(Admission, TheSketchAges) {
  Admission admission({}, 0);
  constexpr uint64_t kPeriod = 8ull * kSketchWidth;
  for (int i = 0; i < 9; ++i) admission.note_use(hash_of(1));
  for (int i = 0; i < 2; ++i) admission.note_use(hash_of(2));
  const model::Hash256 other = hash_of(3);
  for (uint64_t i = 11; i < kPeriod - 1; ++i) admission.note_use(other);
  EXPECT_EQ(admission.frequency(hash_of(1)), 9u);
  admission.note_use(other);
  EXPECT_EQ(admission.frequency(hash_of(1)), 4u);
  EXPECT_EQ(admission.frequency(hash_of(2)), 1u);
  EXPECT_EQ(admission.frequency(other), 7u);
  for (uint64_t i = 0; i < kPeriod; ++i) admission.note_use(other);
  EXPECT_EQ(admission.frequency(hash_of(1)), 2u);
  EXPECT_EQ(admission.frequency(hash_of(2)), 0u);
}

}  // namespace
}  // namespace quire::tiering::admission_test
