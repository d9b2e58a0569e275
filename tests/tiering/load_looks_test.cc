#include "tiering/load_looks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "tiering/load_backlog.h"

namespace quire::tests::load_looks_test {

namespace {

using tiering::kLoadBytes;
using tiering::kLooksPerStep;
using tiering::LoadBacklog;
using tiering::LoadLooks;
using tiering::LoadRecord;

class LoadLooksTest : public testing::Test {
 protected:
  LoadRecord& add(int64_t deadline_ns = INT64_MAX) {
    LoadRecord& load = loads_.emplace_back();
    load.deadline_ns = deadline_ns;
    looks_.add(load);
    return load;
  }
  void add_many(size_t count) {
    for (size_t i = 0; i < count; ++i) add();
  }
  bool step(int64_t now_ns = 0) {
    seen_.clear();
    return looks_.step(now_ns, [&](LoadRecord& load) {
      seen_.push_back(&load);
      const bool ends = std::find(ending_.begin(), ending_.end(), &load) != ending_.end();
      if (ends) looks_.remove(load);
      return ends;
    });
  }
  bool saw(const LoadRecord& load) const {
    return std::find(seen_.begin(), seen_.end(), &load) != seen_.end();
  }

  std::deque<LoadRecord> loads_;
  LoadLooks looks_;
  std::vector<LoadRecord*> seen_;
  std::vector<LoadRecord*> ending_;
};

TEST_F(LoadLooksTest, AStepIsBoundedAndEveryLoadHasItsTurn) {
  add_many(3 * kLooksPerStep);
  std::vector<LoadRecord*> all;
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(step()) << "nothing happened to anybody";
    EXPECT_EQ(seen_.size(), kLooksPerStep);
    all.insert(all.end(), seen_.begin(), seen_.end());
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()) - all.begin(),
            static_cast<ptrdiff_t>(loads_.size()));
}

TEST_F(LoadLooksTest, WhatIsTouchedIsLookedAtAtOnce) {
  add_many(3 * kLooksPerStep);
  LoadRecord& last = loads_.back();
  looks_.touch(last);
  looks_.touch(last);
  step();
  EXPECT_EQ(std::count(seen_.begin(), seen_.end(), &last), 1);
}

TEST_F(LoadLooksTest, ALateLoadIsLookedAtAtOnceWhoeverStandsBefore) {
  add_many(3 * kLooksPerStep);
  LoadRecord& late = add(10);
  step(9);
  EXPECT_FALSE(saw(late));
  ending_ = {&late};
  EXPECT_TRUE(step(10));
  EXPECT_TRUE(saw(late));
  EXPECT_FALSE(step(11));
}

// A node that several wait for tells only the one that read it.
TEST_F(LoadLooksTest, AnEventAsksForOneLookAtEach) {
  add_many(2 * kLooksPerStep + 1);
  looks_.touch_all();
  EXPECT_TRUE(step());
  EXPECT_TRUE(step());
  EXPECT_FALSE(step()) << "all of them were looked at";
}

TEST_F(LoadLooksTest, WhoEndsIsNotSeenAgain) {
  LoadRecord& ends = add(5);
  LoadRecord& stays = add();
  looks_.touch(ends);
  looks_.touch(stays);
  ending_ = {&ends};
  EXPECT_TRUE(step(6));
  EXPECT_EQ(std::count(seen_.begin(), seen_.end(), &ends), 1);
  looks_.touch(stays);
  looks_.remove(stays);
  EXPECT_FALSE(step(6));
  EXPECT_TRUE(seen_.empty());
  EXPECT_TRUE(looks_.is_consistent());
}

TEST(LoadBacklog, ALongLoadCountsAsMuchAsItHasUnderWay) {
  std::array<LoadRecord, 3> loads;
  loads[2].load_class = model::LoadClass::kBatch;
  LoadBacklog backlog;
  for (LoadRecord& load : loads) {
    backlog.add(load);
    backlog.set_bytes_left(load, 10 * kLoadBytes);
  }
  EXPECT_EQ(backlog.bytes_before(1), 2 * kLoadBytes) << "batch loads stand behind";
  EXPECT_EQ(backlog.bytes_before(3 * kLoadBytes), 2 * kLoadBytes + 2 * 2 * kLoadBytes);
  EXPECT_EQ(backlog.bytes_before(100 * kLoadBytes), 20 * kLoadBytes) << "no more than there is";
  for (LoadRecord& load : loads) backlog.remove(load);
  EXPECT_EQ(backlog.bytes_before(100 * kLoadBytes), 0u);
}

}  // namespace

}  // namespace quire::tests::load_looks_test
