// A load told as pages and as runs: the same pages (cache/serve/load_writer.h, run_writer.h).
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "tests/cache/store_rig.h"
#include "tests/support/run_pages.h"

namespace quire::cache::load_form_test {
namespace {

using model::Errc;
using model::LoadForm;
using model::NodeId;
using model::PageDescriptor;
using tests::expand_runs;
using tests::same_pages;
using tests::without_checksums;

constexpr uint32_t kBlocks = 100;
constexpr uint32_t kPrompt = kBlocks * 8 + 1;

model::Layout three_group_layout() {
  model::Layout layout = rig_layout(true);
  layout.name = "three";
  layout.groups.push_back({.name = "index", .kind = model::GroupKind::kAppend, .page_bytes = 1000});
  layout.groups.push_back(
      {.name = "scales", .kind = model::GroupKind::kAppend, .page_bytes = 4096});
  return layout;
}

// One chain whose spans' slots were chosen so that memory is more or less in pieces.
class LoadFormTest : public testing::Test {
 protected:
  LoadFormTest() : rig_(three_group_layout()) {
    for (uint32_t u = 1; u <= 2 * kBlocks; ++u) hashes_.push_back(StoreRig::key(u));
  }
  // A cache must outlive the pins of its leases.
  void TearDown() override {
    uint32_t budget = 1'000'000;
    EXPECT_TRUE(loader().release_some(holder_, budget));
    EXPECT_EQ(rig_.inspect().pin_count(), 0u);
    rig_.cache().check_invariants();
  }
  // `disorder`: of a hundred spans, so many whose pages lie anywhere.
  void build(uint32_t disorder, uint32_t blocks, std::mt19937& random) {
    std::vector<std::vector<model::SlotId>> others;
    for (uint32_t i = 0; i < 2 * disorder; ++i) {
      others.push_back(rig_.slots(model::FillKind::kSpan, 2));
    }
    std::shuffle(others.begin(), others.end(), random);
    NodeId parent = rig_.root().node;
    for (uint32_t block = 1; block <= blocks; ++block) {
      const auto in_disorder = [&] { return random() % 100 < disorder; };
      if (in_disorder() && !others.empty()) {
        give_back(others.back());
        others.pop_back();
      }
      std::vector<model::SlotId> slots = in_disorder() ? none() : last_;
      last_ = rig_.slots(model::FillKind::kSpan, 2 * block, slots);
      QUIRE_CHECK(!last_.empty());
      parent = *rig_.store().add({.parent = parent,
                                  .kind = NodeKind::kSpan,
                                  .key = hashes_[2 * block - 1],
                                  .units = 2 * block},
                                 last_);
      spans_.push_back(parent);
    }
    checkpoint_ = rig_.add(model::FillKind::kCheckpoint, parent, 2 * blocks, 2 * blocks);
    prompt_ = blocks * 8 + 1;
  }
  static std::vector<model::SlotId> none() { return {}; }
  void give_back(const std::vector<model::SlotId>& slots) {
    for (const model::SlotId slot : slots) rig_.store().pool().free(slot);
  }

  PrefixReader& reader() { return rig_.cache().reader(); }
  PrefixLoader& loader() { return rig_.cache().loader(); }
  ChainView chain() const { return {hashes_.data(), static_cast<uint32_t>(hashes_.size())}; }
  model::LeaseId match() {
    const auto found = reader().match(rig_.session(), holder_, chain(), prompt_);
    QUIRE_CHECK(found.ok());
    return model::LeaseId{found->lease};
  }
  // In pieces of `budget` steps.
  Load load(const model::LoadArgs& args, std::span<PageDescriptor> out, uint32_t budget) {
    PendingLoad pending;
    QUIRE_CHECK(loader().begin_load(holder_, args, out.size(), false, pending).ok());
    while (!loader().step_load(holder_, pending, out, budget)) {
    }
    return pending.load;
  }
  // In pieces; between two of them `meanwhile` may change what is there.
  DeliveredLoad deliver(const Load& load, std::span<PageDescriptor> out, uint32_t budget,
                        const std::function<void()>& meanwhile = {}) {
    Delivery delivery;
    loader().begin_delivery(holder_, load, out.size(), true, delivery);
    bool once = static_cast<bool>(meanwhile);
    uint32_t pieces = 0;
    for (; !loader().step_delivery(holder_, delivery, out, budget); ++pieces) {
      if (pieces < 5 || !std::exchange(once, false)) continue;
      meanwhile();
    }
    EXPECT_FALSE(once) << "the delivery ended before";
    // Each block is looked at, and let go or written; of three pages each, one costs a step.
    EXPECT_GE((pieces + uint64_t{1}) * budget, 2 * uint64_t{load.block_count});
    if (delivery.delivered.code == Errc::kOk) {
      EXPECT_EQ(delivery.slots.size(), delivery.delivered.result.descriptor_count);
    }
    return delivery.delivered;
  }
  const model::Layout& layout() { return rig_.root().layout->layout; }

  StoreRig rig_;
  LeaseHolder holder_;
  std::vector<model::Hash256> hashes_;
  std::vector<NodeId> spans_;
  std::vector<model::SlotId> last_;
  NodeId checkpoint_;
  uint32_t prompt_ = kPrompt;
};

// Each range, mask of groups and piece size, in whole and in torn memory.
class LoadFormOfMemory : public LoadFormTest, public testing::WithParamInterface<uint32_t> {};

TEST_P(LoadFormOfMemory, RunsAreThePagesOfThePageForm) {
  std::mt19937 random(GetParam());
  build(GetParam(), 60, random);
  std::vector<PageDescriptor> pages(400);
  std::vector<PageDescriptor> runs(400);
  for (int i = 0; i < 60; ++i) {
    const model::LeaseId lease = match();
    model::LoadArgs args{};
    args.lease = lease.value;
    args.first_block = random() % 60;
    args.block_count = random() % (61 - args.first_block);
    args.groups = random() % 4 == 0 ? 0 : random() % 16;
    args.include_checkpoint = random() % 2;
    const Load as_pages = load(args, pages, 1 + random() % 40);
    args.form = static_cast<uint8_t>(LoadForm::kRuns);
    const Load as_runs = load(args, runs, 1 + random() % 40);
    ASSERT_EQ(as_runs.code, Errc::kOk);
    EXPECT_EQ(as_runs.result.descriptor_count, as_pages.result.descriptor_count);
    EXPECT_EQ(as_runs.result.block_count, as_pages.result.block_count);
    EXPECT_EQ(as_runs.result.checkpoint_count, as_pages.result.checkpoint_count);
    const auto expected =
        without_checksums(std::span(pages).first(as_pages.result.descriptor_count));
    const auto told = expand_runs(runs, as_runs.result, layout(), args.first_block);
    ASSERT_TRUE(same_pages(told, expected)) << "load " << i;
    ASSERT_TRUE(loader().release(holder_, lease).ok());
  }
  EXPECT_EQ(rig_.inspect().pin_count(), 0u);
  rig_.cache().check_invariants();
}

INSTANTIATE_TEST_SUITE_P(Disorder, LoadFormOfMemory, testing::Values(0, 10, 50, 90));

TEST_F(LoadFormTest, AContextThatWasWrittenInOneGoIsFewRuns) {
  std::mt19937 random(1);
  build(0, kBlocks, random);
  std::vector<PageDescriptor> room(400);
  model::LoadArgs args{};
  args.lease = match().value;
  args.form = static_cast<uint8_t>(LoadForm::kRuns);
  const Load loaded = load(args, room, 1'000'000);
  EXPECT_EQ(loaded.result.descriptor_count, 3 * kBlocks);
  EXPECT_LE(loaded.result.run_count, 3 * (kBlocks / 16 + 1)) << "a chunk each at the most";
  EXPECT_EQ(loaded.result.first_run + loaded.result.run_count, room.size());
}

TEST_F(LoadFormTest, MoreRunsThanRoomIsAnErrorAndTheLeaseStaysUsable) {
  std::mt19937 random(7);
  build(80, 50, random);
  std::vector<PageDescriptor> room(400);
  const model::LeaseId lease = match();
  model::LoadArgs args{};
  args.lease = lease.value;
  args.include_checkpoint = 1;
  args.form = static_cast<uint8_t>(LoadForm::kRuns);
  const uint32_t needed = load(args, room, 100).result.run_count;
  ASSERT_GT(needed, 10u);
  const Load refused = load(args, std::span(room).first(needed - 1), 100);
  EXPECT_EQ(refused.code, Errc::kResourceExhausted);
  EXPECT_EQ(refused.result.descriptor_count, 0u);
  EXPECT_EQ(refused.result.run_count, 0u);
  const Load exact = load(args, std::span(room).first(needed), 100);
  EXPECT_EQ(exact.code, Errc::kOk);
  EXPECT_EQ(exact.result.first_run, 0u);
  EXPECT_EQ(load(args, {}, 100).code, Errc::kResourceExhausted) << "no room at all";
  ASSERT_TRUE(loader().release(holder_, lease).ok());
  EXPECT_EQ(rig_.inspect().pin_count(), 0u);
}

// What was missing came in part: the usable head, as runs.
TEST_F(LoadFormTest, Law15_AHeadIsDeliveredAsRunsToo) {
  std::mt19937 random(3);
  build(20, 40, random);
  uint32_t slot = 0;
  rig_.meddle().put_on_ssd(checkpoint_, ++slot);
  ASSERT_TRUE(rig_.meddle().leave_ram(checkpoint_));
  for (uint32_t block = 40; block > 25; --block) {
    rig_.meddle().put_on_ssd(spans_[block - 1], ++slot);
    ASSERT_TRUE(rig_.meddle().leave_ram(spans_[block - 1]));
  }
  rig_.store().presence().set_state(model::TierId::kSsd, {.readable = true});
  std::vector<PageDescriptor> pages(200);
  std::vector<PageDescriptor> runs(200);
  model::LoadArgs args{};
  args.lease = match().value;
  args.first_block = 5;
  args.include_checkpoint = 1;
  const Load first = load(args, pages, 50);
  args.form = static_cast<uint8_t>(LoadForm::kRuns);
  const Load second = load(args, runs, 50);
  const Load third = load(args, std::span(runs).first(1), 50);
  EXPECT_EQ(first.missing_count, 16u);
  EXPECT_EQ(second.missing_count, 16u);
  for (uint32_t block = 26; block <= 30; ++block) {
    rig_.store().make_resident(spans_[block - 1], rig_.slots(model::FillKind::kSpan, 2 * block));
  }
  const DeliveredLoad as_pages = deliver(first, pages, 2);
  const DeliveredLoad as_runs = deliver(second, runs, 1);
  EXPECT_EQ(as_pages.result.block_count, 25u);
  EXPECT_EQ(as_runs.result.block_count, 25u);
  EXPECT_EQ(as_runs.result.checkpoint_count, 0u);
  const auto expected = without_checksums(std::span(pages).first(as_pages.result.descriptor_count));
  EXPECT_TRUE(same_pages(expand_runs(runs, as_runs.result, layout(), 5), expected));
  const DeliveredLoad none = deliver(third, std::span(runs).first(1), 1000);
  EXPECT_EQ(none.code, Errc::kResourceExhausted);
  EXPECT_EQ(none.result.block_count, 0u);
}

// Law 4: a check of somebody else's load found a page bad, at whatever point this one is.
TEST_F(LoadFormTest, Law04_WhatIsQuarantinedMeanwhileIsNotDelivered) {
  std::mt19937 random(5);
  build(0, 40, random);
  std::vector<PageDescriptor> pages(200);
  model::LoadArgs args{};
  args.lease = match().value;
  const Load whole = load(args, pages, 1000);
  EXPECT_TRUE(whole.is_whole());
  PendingLoad pending;
  ASSERT_TRUE(loader().begin_load(holder_, args, pages.size(), false, pending).ok());
  ASSERT_FALSE(loader().step_load(holder_, pending, pages, 8)) << "the deep end is described";
  rig_.store().quarantine(spans_[35]);
  while (!loader().step_load(holder_, pending, pages, 8)) continue;
  EXPECT_FALSE(pending.load.is_whole());
  EXPECT_EQ(pending.load.result.descriptor_count, 0u);
  const DeliveredLoad head =
      deliver(pending.load, pages, 1, [&] { rig_.store().quarantine(spans_[20]); });
  EXPECT_EQ(head.result.block_count, 20u) << "up to the first bad span, of both";
  EXPECT_FALSE(head.whole);
  const DeliveredLoad after = deliver(load(args, pages, 1000), pages, 1000);
  EXPECT_EQ(after.result.block_count, 20u);
  pending = {};
  ASSERT_TRUE(loader().release(holder_, model::LeaseId{args.lease}).ok());
  EXPECT_EQ(rig_.inspect().pin_count(), 0u);
}

TEST_F(LoadFormTest, ALeaseIsHeldWhileALoadOfItIsUnderWay) {
  std::mt19937 random(6);
  build(0, 40, random);
  std::vector<PageDescriptor> pages(200);
  model::LoadArgs args{};
  args.lease = match().value;
  const model::LeaseId lease{args.lease};
  PendingLoad first;
  PendingLoad second;
  ASSERT_TRUE(loader().begin_load(holder_, args, pages.size(), false, first).ok());
  ASSERT_TRUE(loader().begin_load(holder_, args, pages.size(), false, second).ok());
  EXPECT_EQ(loader().release(holder_, lease).code(), Errc::kBusy);
  first = {};
  uint32_t budget = 1000;
  EXPECT_FALSE(loader().release_some(holder_, budget)) << "not by the end of its holder either";
  LoadHold moved = std::move(second.hold);
  second = {};
  EXPECT_EQ(loader().release(holder_, lease).code(), Errc::kBusy);
  moved.reset();
  EXPECT_TRUE(loader().release(holder_, lease).ok());
  EXPECT_EQ(rig_.inspect().pin_count(), 0u);
}

TEST_F(LoadFormTest, ALeaseThatItsHolderLeavesIsCounted) {
  std::mt19937 random(7);
  build(0, 40, random);
  match();
  EXPECT_TRUE(loader().release(holder_, match()).ok());
  EXPECT_EQ(loader().counters().expired_leases, 0u);
  uint32_t budget = 1000;
  EXPECT_TRUE(loader().release_some(holder_, budget));
  EXPECT_EQ(loader().counters().expired_leases, 1u);
}

// Pages of the three append groups; a block that the prompt cuts has none yet.
TEST_F(LoadFormTest, PagesThatAPromptMissesAreCounted) {
  std::mt19937 random(8);
  build(0, 40, random);
  prompt_ = 60 * 8 + 3;
  match();
  EXPECT_EQ(reader().counters().missed_pages, 20u * 3);
  prompt_ = 30 * 8 + 1;
  match();
  EXPECT_EQ(reader().counters().missed_pages, 20u * 3) << "all of it is here";
}

// Slots that were used before and others lie side by side: a run has one generation.
TEST_F(LoadFormTest, ARunEndsWhereGenerationsDiffer) {
  const auto old = rig_.slots(model::FillKind::kSpan, 2);
  const auto stays = rig_.slots(model::FillKind::kSpan, 4, old);
  give_back(old);
  std::mt19937 random(1);
  last_ = none();
  build(0, 8, random);
  std::vector<PageDescriptor> pages(64);
  std::vector<PageDescriptor> runs(64);
  model::LoadArgs args{};
  args.lease = match().value;
  const Load as_pages = load(args, pages, 50);
  args.form = static_cast<uint8_t>(LoadForm::kRuns);
  const Load as_runs = load(args, runs, 50);
  const auto expected = without_checksums(std::span(pages).first(as_pages.result.descriptor_count));
  EXPECT_TRUE(same_pages(expand_runs(runs, as_runs.result, layout(), 0), expected));
  give_back(stays);
}

}  // namespace
}  // namespace quire::cache::load_form_test
