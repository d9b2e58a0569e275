// When slots that were given up serve again.
#include "tiering/commit/pending_erasures.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/ssd/mover_rig.h"

namespace quire::tiering::pending_erasures_test {
namespace {

using std::chrono::milliseconds;
using tests::MoverRig;

class PendingErasuresTest : public testing::Test {
 protected:
  // A run that the manifest has.
  RunKey take(uint32_t count) {
    auto run = rig_.space().take(MoverRig::kObjectBytes, count);
    if (!run) {
      QUIRE_CHECK(rig_.space().add_region(MoverRig::kObjectBytes));
      run = rig_.space().take(MoverRig::kObjectBytes, count);
    }
    QUIRE_CHECK(run && run->count == count);
    rig_.contents().roots()->add_run(kRoot);
    return {.root = kRoot, .units = 1, .kind = 1, .slot = run->first};
  }
  uint64_t freeing() { return rig_.space().usage().freeing_slots; }
  ManifestBatch begin() {
    erasures_.begin_batch();
    ManifestBatch batch;
    erasures_.describe(batch);
    return batch;
  }

  static constexpr uint32_t kRoot = 1;
  MoverRig rig_;
  PendingErasures erasures_{{.space = &rig_.space(),
                             .roots = rig_.contents().roots(),
                             .kept = rig_.contents().kept(),
                             .clock = &rig_.clock}};
};

TEST_F(PendingErasuresTest, Law08_SlotsAreFreeOnceTheBatchIsDurable) {
  erasures_.add_doubtful(take(3), 3);
  EXPECT_EQ(freeing(), 3u);
  EXPECT_FALSE(begin().empty());
  EXPECT_TRUE(erasures_.empty());
  EXPECT_EQ(freeing(), 3u) << "it may fail";
  EXPECT_EQ(erasures_.finish_batch(true), 3u);
  EXPECT_EQ(freeing(), 0u);
}

TEST_F(PendingErasuresTest, Law08_AfterAFailureTheyWaitAgain) {
  erasures_.add_doubtful(take(3), 3);
  begin();
  EXPECT_EQ(erasures_.finish_batch(false), 0u);
  EXPECT_EQ(erasures_.size(), 1u);
  EXPECT_EQ(freeing(), 3u);
  // The roots count the run once more: else this would be one too few.
  EXPECT_FALSE(begin().empty());
  EXPECT_EQ(erasures_.finish_batch(true), 3u);
}

TEST_F(PendingErasuresTest, TheyWaitForCompanyUnlessSomebodyIsInAHurry) {
  EXPECT_FALSE(erasures_.due(true)) << "there are none";
  erasures_.add_doubtful(take(1), 1);
  EXPECT_FALSE(erasures_.due(false));
  EXPECT_TRUE(erasures_.due(true));
  rig_.clock.advance(milliseconds(199));
  erasures_.add_doubtful(take(1), 1);
  EXPECT_FALSE(erasures_.due(false));
  rig_.clock.advance(milliseconds(1));
  EXPECT_TRUE(erasures_.due(false)) << "the oldest counts";
}

TEST_F(PendingErasuresTest, ACutOfTheSameRunIsMadeDeeper) {
  const RunKey key = take(4);
  const auto drop = [&](uint32_t left) {
    erasures_.add_dropped(
        {.key = key, .left = left, .slots = {{key.slot.value + left}}, .held = {}});
  };
  drop(3);
  drop(2);
  EXPECT_EQ(erasures_.size(), 1u);
  EXPECT_EQ(freeing(), 2u);
  EXPECT_EQ(begin().size(), 1u);
  EXPECT_EQ(erasures_.finish_batch(true), 2u);
  EXPECT_EQ(rig_.space().usage().used_slots, 2u);
}

}  // namespace
}  // namespace quire::tiering::pending_erasures_test
