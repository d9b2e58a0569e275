// Law 6 between clients: whatever one of them does, a neighbour of another uid is served as ever,
// and a killed attacker leaves nothing behind (law 5).
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/attacks/attack_field.h"

namespace quire::tests::attack_test {

namespace {

constexpr uint32_t kRounds = 200;
// What an attack makes the daemon allocate for itself: tables of one uid's shares, some tens of
// MiB. AddressSanitizer keeps 256 MiB of what was freed, and an eighth of all as shadow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kMostPrivateBytes = 512ull << 20;
#else
constexpr uint64_t kMostPrivateBytes = 128ull << 20;
#endif

class AttackTest : public testing::TestWithParam<Attack> {};

void expect_unharmed(const NeighbourReport& report) {
  ASSERT_TRUE(report.alive) << "the neighbour stands still";
  EXPECT_EQ(report.rounds, kRounds);
  EXPECT_EQ(report.refusals, 0u);
  EXPECT_EQ(report.lost, 0u);
  EXPECT_EQ(report.wrong_pages, 0u);
}

}  // namespace

TEST_P(AttackTest, Law06_NeighbourOfAnotherUidNoticesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be two other users";
  AttackField field(GetParam());
  ASSERT_TRUE(field.begin()) << "the attack came to nothing";
  ASSERT_NO_FATAL_FAILURE(expect_unharmed(field.neighbour().rounds(kRounds)));
  EXPECT_LE(field.private_growth_bytes(), kMostPrivateBytes);
  EXPECT_TRUE(field.kill_attackers()) << "an attacker had ended by itself";
  // While what they held is given back.
  ASSERT_NO_FATAL_FAILURE(expect_unharmed(field.neighbour().rounds(kRounds)));
  EXPECT_EQ(field.await_nothing_left(), "");
  ASSERT_NO_FATAL_FAILURE(expect_unharmed(field.neighbour().rounds(kRounds)));
  EXPECT_TRUE(field.neighbour().leave());
}

INSTANTIATE_TEST_SUITE_P(All, AttackTest, testing::ValuesIn(all_attacks()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace quire::tests::attack_test
