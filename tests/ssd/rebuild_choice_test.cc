// What a rebuild makes of headers that may say anything. The scan that finds them, and the manifest
// that is written, are tests/ssd/ssd_rebuild_test.cc.
#include "tiering/rebuild/rebuild_choice.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cache/tree/node.h"
#include "model/chain_hash.h"
#include "tests/ssd/scratch_directory.h"

namespace quire::tiering::rebuild_choice_test {
namespace {

constexpr uint64_t kPageBytes = 64 << 10;
constexpr uint32_t kRegion = 3;

class RebuildChoiceTest : public testing::Test {
 protected:
  RebuildChoiceTest() {
    model::Layout layout{.name = "small", .unit_tokens = 4, .block_tokens = 4};
    layout.groups.push_back(
        {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = kPageBytes});
    digest_ = model::sha256(model::encode(layout));
    QUIRE_CHECK(directory_->layouts().store(digest_, layout).ok());
    add_root(1);
  }
  static model::Hash256 hash(uint32_t number) {
    model::Hash256 result;
    result.bytes[0] = static_cast<uint8_t>(number);
    return result;
  }
  uint32_t add_root(uint64_t weights_epoch) {
    const auto index = static_cast<uint32_t>(found_.roots.size());
    RootRecord root;
    root.id = index + 1;
    root.hash = hash(200 + index);
    root.layout_digest = digest_;
    root.domain = "uid:0";
    root.namespace_name = "model";
    root.weights_epoch = weights_epoch;
    found_.roots.push_back(root);
    return index;
  }
  // A span at this position of a chain, behind the one before, in the slot of its position.
  ScannedObject& add_span(uint32_t units, uint32_t root = 0) {
    ScannedObject& span = found_.objects.emplace_back();
    span.key = hash(units);
    span.parent_key = units == 1 ? found_.roots[root].hash : hash(units - 1);
    span.generation = 100 + units;
    span.slot_bytes = kPageBytes;
    span.slot = SsdSlot::of(kRegion, units);
    span.root = root;
    span.units = units;
    span.parent_units = units - 1;
    span.kind = static_cast<uint8_t>(cache::NodeKind::kSpan);
    return span;
  }
  void add_spans(uint32_t count) {
    for (uint32_t units = 1; units <= count; ++units) add_span(units);
  }
  RebuildReport choose(Epochs epochs = {}) {
    RebuildChoice choice(*directory_, found_, std::move(epochs));
    choice.choose();
    runs_ = choice.runs();
    for (const RootRecord& root : found_.roots) needed_.push_back(choice.is_needed(root));
    return choice.report();
  }

  tests::ScratchDirectory scratch_{tests::memory_directory()};
  std::unique_ptr<SsdDirectory> directory_ =
      SsdDirectory::open({.path = scratch_ / "ssd", .region_bytes = 1 << 20}).value();
  model::Hash256 digest_;
  FoundHeaders found_;
  std::vector<RunRecord> runs_;
  std::vector<bool> needed_;
};

TEST_F(RebuildChoiceTest, AdjacentSpansOfAPathAreOneRun) {
  add_spans(5);
  const RebuildReport report = choose();
  EXPECT_EQ(report.spans, 5u);
  ASSERT_EQ(runs_.size(), 1u);
  EXPECT_EQ(runs_[0].keys.size(), 5u);
  EXPECT_EQ(runs_[0].key.slot, SsdSlot::of(kRegion, 1));
  EXPECT_EQ(runs_[0].generation, 101u);
  EXPECT_EQ(runs_[0].parent_key, found_.roots[0].hash);
}

TEST_F(RebuildChoiceTest, ARunHasABound) {
  add_spans(kMaxRunObjects + 1);
  choose();
  ASSERT_EQ(runs_.size(), 2u);
  EXPECT_EQ(runs_[0].keys.size(), kMaxRunObjects);
  EXPECT_EQ(runs_[1].parent_units, kMaxRunObjects);
}

TEST_F(RebuildChoiceTest, WhereGenerationsSkipARunEnds) {
  add_spans(4);
  for (uint32_t i = 2; i < 4; ++i) ++found_.objects[i].generation;
  choose();
  EXPECT_EQ(runs_.size(), 2u);
}

TEST_F(RebuildChoiceTest, OfAKeyTheLatestHeaderCounts) {
  add_spans(2);
  ScannedObject& older = add_span(2);
  older.generation = 7;
  older.slot = SsdSlot::of(kRegion, 60);
  ScannedObject& later = add_span(1);
  later.generation = 900;
  later.slot = SsdSlot::of(kRegion, 50);
  const RebuildReport report = choose();
  EXPECT_EQ(report.older_copies, 2u);
  EXPECT_EQ(report.spans, 2u);
  ASSERT_EQ(runs_.size(), 2u) << "in the order of their slots";
  EXPECT_EQ(runs_[0].key.slot.index(), 2u);
  EXPECT_EQ(runs_[1].key.slot.index(), 50u);
}

TEST_F(RebuildChoiceTest, WhatHangsOnNothingIsAnOrphanWithAllBehindIt) {
  add_spans(5);
  found_.objects.erase(found_.objects.begin() + 2);
  EXPECT_EQ(choose().orphans, 2u);
  EXPECT_EQ(runs_.size(), 1u);
}

TEST_F(RebuildChoiceTest, AParentAtAnotherPositionIsNone) {
  add_spans(2);
  found_.objects[1].parent_key = found_.roots[0].hash;
  EXPECT_EQ(choose().orphans, 1u);
}

TEST_F(RebuildChoiceTest, ANamespaceThatMovedOnIsStale) {
  add_spans(2);
  const uint32_t later = add_root(2);
  add_span(1, later).slot = SsdSlot::of(kRegion, 40);
  const RebuildReport report = choose();
  EXPECT_EQ(report.stale, 2u);
  EXPECT_EQ(report.roots, 1u);
  EXPECT_EQ(needed_, (std::vector<bool>{false, true}));
}

// No extent was written in the later epoch yet: the old manifest alone knew of it.
TEST_F(RebuildChoiceTest, AnEpochThatIsKnownFromElsewhereCounts) {
  add_spans(2);
  EXPECT_EQ(choose({{{"uid:0", "model"}, 5}}).stale, 2u);
}

TEST_F(RebuildChoiceTest, WithoutItsLayoutNothingIsServed) {
  found_.roots[0].layout_digest = hash(9);
  add_spans(3);
  EXPECT_EQ(choose().without_layout, 3u);
  EXPECT_TRUE(runs_.empty());
}

TEST_F(RebuildChoiceTest, WhatIsNotAsItsLayoutSaysDoesNotFit) {
  add_spans(4);
  found_.objects[0].slot_bytes += 4096;
  found_.objects[1].parent_units = 0;
  found_.objects[2].kind = static_cast<uint8_t>(cache::NodeKind::kCheckpoint);  // it needs none
  found_.objects[3].encoded = true;  // and takes as much as it would as it is
  EXPECT_EQ(choose().misfits, 4u);
}

}  // namespace
}  // namespace quire::tiering::rebuild_choice_test
