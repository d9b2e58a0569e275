#include "tiering/cluster/note_sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace quire::tiering::note_sweep_test {
namespace {

constexpr int64_t kHour = 3600ll * 1'000'000'000;

class NoteSweepTest : public testing::Test {
 protected:
  // What a sweep of a part with these names removes, where each note says `value`.
  std::vector<std::string> sweep(const std::vector<std::string>& names, const std::string& value,
                                 int64_t now_ns, int error = 0) {
    for (RadosOp* op : sweep_.look_at(names)) {
      op->error = error;
      op->got = value.size();
      std::copy(value.begin(), value.end(), reinterpret_cast<char*>(op->data));
    }
    std::vector<std::string> removed;
    for (const RadosOp* op : sweep_.judge(now_ns)) {
      EXPECT_EQ(op->kind, RadosKind::kRemove);
      removed.push_back(op->object);
    }
    return removed;
  }
  NoteSweep sweep_{kHour};
};

TEST_F(NoteSweepTest, WhatSaysTheSameForSoLongGoes) {
  EXPECT_TRUE(sweep({"h/a"}, "beat 1", 0).empty());
  EXPECT_TRUE(sweep({"h/a"}, "beat 1", kHour - 1).empty());
  EXPECT_EQ(sweep({"h/a"}, "beat 1", kHour), std::vector<std::string>{"h/a"});
  EXPECT_TRUE(sweep({"h/a"}, "beat 1", 2 * kHour).empty()) << "another one of its name";
}

TEST_F(NoteSweepTest, WhatIsWrittenStays) {
  for (int64_t hour = 0; hour < 100; ++hour) {
    EXPECT_TRUE(sweep({"h/a"}, "beat " + std::to_string(hour), hour * kHour).empty());
  }
}

TEST_F(NoteSweepTest, NothingElseIsLookedAt) {
  EXPECT_TRUE(sweep({"d/a", "i/a", "e/a", "p/probe"}, "same", 0).empty());
  EXPECT_TRUE(sweep({"d/a", "i/a", "e/a", "p/probe"}, "same", 2 * kHour).empty());
}

TEST_F(NoteSweepTest, WhatCouldNotBeReadStays) {
  EXPECT_TRUE(sweep({"h/a"}, "same", 0).empty());
  EXPECT_TRUE(sweep({"h/a"}, "same", 2 * kHour, ETIMEDOUT).empty());
}

// Law 10: a pool with any number of notes is remembered in part, and places come free again.
TEST_F(NoteSweepTest, ABoundedNumberIsRemembered) {
  for (int i = 0; i < 10'000; ++i) sweep({"h/" + std::to_string(i)}, "same", 0);
  EXPECT_FALSE(sweep({"h/0"}, "same", kHour).empty());
  EXPECT_TRUE(sweep({"h/9999"}, "same", kHour).empty()) << "it was not remembered";
  sweep({"h/9998"}, "same", 30 * kHour);
  EXPECT_FALSE(sweep({"h/9998"}, "same", 31 * kHour).empty());
}

}  // namespace
}  // namespace quire::tiering::note_sweep_test
