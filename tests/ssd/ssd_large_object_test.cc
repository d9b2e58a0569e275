// Objects that fit no region: durable and served like any other, through restarts, a rebuild,
// damage and eviction.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/ssd/directory_rig.h"
#include "tests/ssd/file_damage.h"
#include "tests/ssd/ssd_faults.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace quire::tests::ssd_large_object_test {

using model::Errc;
using model::FillKind;
using tiering::KeptReason;
using tiering::SsdSlot;

namespace {

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint32_t kTokens = 40;

// Spans of a page of 20 KiB; a checkpoint of 1.5 MiB and 2 MiB: four regions of 1 MiB. No page ends
// where a region does.
model::Layout large_checkpoint_layout() {
  model::Layout layout = small_hybrid_layout();
  layout.name = "large-checkpoint";
  for (model::Group& group : layout.groups) {
    group.layers.clear();
    group.page_bytes = group.kind == model::GroupKind::kAppend   ? 20 << 10
                       : group.kind == model::GroupKind::kWindow ? (3 << 19) + 100
                                                                 : 2 << 20;
  }
  return layout;
}

// Spans of two and a half regions, no checkpoints.
model::Layout large_span_layout() {
  model::Layout layout = small_append_layout();
  layout.name = "large-span";
  layout.groups[0].layers.clear();
  layout.groups[0].page_bytes = 5 << 19;
  return layout;
}

class LargeObjectTest : public testing::Test {
 protected:
  explicit LargeObjectTest(uint64_t ssd_bytes = 64ull << 20)
      : rig_({}, [this, ssd_bytes](server::Options& options) {
          memory_.use()(options);
          options.ssd_bytes = ssd_bytes;
          options.ssd_region_bytes = kRegionBytes;
        }) {}

  void commit(uint64_t context, const model::Layout& layout, uint32_t tokens = kTokens) {
    const auto client = connect_lazily(rig_.daemon());
    auto options = session_options(layout);
    options.staging_bytes = 16 << 20;
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(tokens + 1, context)).ok());
    ASSERT_TRUE(commit_context(*session, tokens + 1).ok());
  }
  bool whole(uint64_t context, const model::Layout& layout, uint32_t tokens = kTokens) {
    const auto client = connect_lazily(rig_.daemon());
    const Hit hit = try_hit(rig_, *client, context, tokens, layout);
    EXPECT_EQ(hit.wrong, "");
    return hit.announced_tokens == tokens && hit.code == Errc::kOk &&
           hit.checkpoint == model::needs_checkpoint(layout);
  }
  void check() {
    EXPECT_EQ(audit(rig_), "");
    rig_.daemon().on_core([](server::Daemon& d) { d.ssd_tier()->check_invariants(); });
  }
  bool idle() {
    return rig_.daemon().eventually([](server::Daemon& d) { return d.tiers()->idle(); });
  }
  uint64_t kept(KeptReason reason) {
    return rig_.status().kept[static_cast<size_t>(reason)].objects;
  }
  // The regions of the large checkpoint of context 1, in the order of its bytes.
  std::vector<uint32_t> regions_of_checkpoint() {
    const auto client = connect_lazily(rig_.daemon());
    const auto session = rig_.session(*client, 1, kTokens, large_checkpoint_layout());
    tiering::ExtentHeader header;
    SsdSlot slot;
    rig_.daemon().on_core([&](server::Daemon& d) {
      const model::NodeId node = find_node(d, *session, FillKind::kCheckpoint, kTokens);
      slot = {inspect(d).ssd_copy(node)->slot};
    });
    read_at(file_of(slot.region()), offset_of(slot.region()),
            std::as_writable_bytes(std::span(&header, 1)));
    std::vector<uint32_t> regions = {slot.region()};
    regions.insert(regions.end(), header.more.begin(), header.more.begin() + header.more_count);
    return regions;
  }
  std::string file_of(uint32_t region) const {
    char name[32];
    std::snprintf(name, sizeof(name), "/data.%06u", region / 16);
    return memory_.ssd_path() + name;
  }
  static uint64_t offset_of(uint32_t region) { return region % 16 * kRegionBytes; }

  MemoryDirectory memory_;
  SsdRig rig_;
};

class LargeObjectInASmallTierTest : public LargeObjectTest {
 protected:
  LargeObjectInASmallTierTest() : LargeObjectTest(12ull << 20) {}
};

class LargeObjectInATinyTierTest : public LargeObjectTest {
 protected:
  LargeObjectInATinyTierTest() : LargeObjectTest(3ull << 20) {}
};

}  // namespace

TEST_F(LargeObjectTest, IsDurableAndComesBackBitExactAlsoAfterARestart) {
  commit(1, small_append_layout());
  ASSERT_TRUE(rig_.settle());
  EXPECT_EQ(superblock_at(memory_.ssd_path()).incompatible, 0u) << "an earlier version may read it";
  const model::Layout checkpoints = large_checkpoint_layout();
  const model::Layout spans = large_span_layout();
  commit(1, checkpoints);
  commit(2, spans, 12);
  ASSERT_TRUE(rig_.settle());
  EXPECT_EQ(rig_.status().demoter.too_large, 0u);
  EXPECT_EQ(superblock_at(memory_.ssd_path()).incompatible, tiering::kLargeObjects);
  check();
  rig_.empty_ram();
  EXPECT_EQ(rig_.counters().ram_checkpoints, 0u);
  EXPECT_TRUE(whole(1, checkpoints));
  EXPECT_TRUE(whole(2, spans, 12));
  check();
  for (int restart = 0; restart < 2; ++restart) {
    rig_.daemon().restart();
    EXPECT_EQ(rig_.status().restored.checkpoints, 1u);
    EXPECT_EQ(rig_.status().restored.spans, 10u + 5u + 3u);
    check();
    EXPECT_TRUE(whole(1, checkpoints));
    EXPECT_TRUE(whole(2, spans, 12));
    EXPECT_TRUE(whole(1, small_append_layout()));
  }
  EXPECT_EQ(rig_.status().loader.corrupt, 0u);
}

TEST_F(LargeObjectTest, ComesBackWithARebuiltManifest) {
  commit(1, large_checkpoint_layout());
  commit(2, large_span_layout(), 12);
  commit(3, small_append_layout());
  ASSERT_TRUE(rig_.settle());
  rig_.daemon().stop();
  std::filesystem::remove_all(memory_.ssd_path() + "/manifest");
  const auto report = tiering::rebuild_manifest({.directory = {.path = memory_.ssd_path()}});
  ASSERT_TRUE(report.ok()) << report.error().text;
  EXPECT_EQ(report->checkpoints, 1u);
  EXPECT_EQ(report->spans, 5u + 3u + 10u);
  rig_.daemon().start();
  check();
  EXPECT_TRUE(whole(1, large_checkpoint_layout()));
  EXPECT_TRUE(whole(2, large_span_layout(), 12));
  EXPECT_TRUE(whole(3, small_append_layout()));
}

// In each of its regions.
TEST_F(LargeObjectTest, Law04_DamageAnywhereIsAMissAndNothingElseSuffers) {
  const model::Layout layout = large_checkpoint_layout();
  commit(1, layout);
  commit(2, layout);
  ASSERT_TRUE(rig_.settle());
  for (size_t i = 0; i < 4; ++i) {
    const std::vector<uint32_t> regions = regions_of_checkpoint();
    ASSERT_EQ(regions.size(), 4u);
    rig_.daemon().stop();
    flip_at(file_of(regions[i]), offset_of(regions[i]) + 5000);
    rig_.daemon().start();
    EXPECT_FALSE(whole(1, layout)) << i;
    EXPECT_EQ(rig_.status().loader.corrupt, 1u) << i;
    EXPECT_TRUE(whole(2, layout));
    check();
    commit(1, layout);
    ASSERT_TRUE(rig_.settle());
    rig_.empty_ram();
    EXPECT_TRUE(whole(1, layout)) << "written again";
  }
}

TEST_F(LargeObjectTest, AScrubReadsThemWhole) {
  const model::Layout layout = large_checkpoint_layout();
  commit(1, layout);
  ASSERT_TRUE(rig_.settle());
  const std::vector<uint32_t> regions = regions_of_checkpoint();
  flip_at(file_of(regions[2]), offset_of(regions[2]) + 77);
  rig_.daemon().on_core([](server::Daemon& d) { d.ssd_tier()->upkeep()->start_scrub(1ull << 40); });
  ASSERT_TRUE(rig_.daemon().eventually(
      [](server::Daemon& d) { return ssd_status(d).scrub.passes > 0 && d.tiers()->idle(); }));
  EXPECT_EQ(rig_.status().scrub.bad, 1u);
  EXPECT_EQ(rig_.status().scrub.unreadable, 0u);
  ASSERT_TRUE(rig_.settle()) << "it is in RAM, and written again";
  rig_.empty_ram();
  EXPECT_TRUE(whole(1, layout));
  check();
}

// Small and large ones in turns, several times what the tier holds: room for large ones is made of
// what small ones leave, and the other way round.
TEST_F(LargeObjectInASmallTierTest, LargeAndSmallOnesMakeRoomForEachOther) {
  const model::Layout large = large_checkpoint_layout();
  for (uint64_t context = 1; context <= 8; ++context) {
    commit(context, large);
    commit(100 + context, small_append_layout(), 800);
    ASSERT_TRUE(rig_.daemon().eventually([](server::Daemon& d) { return d.tiers()->idle(); }))
        << rig_.status().blocked_by;
    check();
  }
  EXPECT_GT(rig_.counters().ssd_evicted, 0u);
  EXPECT_EQ(rig_.status().demoter.too_large, 0u);
  EXPECT_EQ(rig_.status().demoter.failed, 0u);
  rig_.empty_ram();
  EXPECT_TRUE(whole(8, large));
  EXPECT_TRUE(whole(108, small_append_layout(), 800));
  rig_.daemon().stop();
  // Headers of many lives lie there now.
  std::filesystem::remove_all(memory_.ssd_path() + "/manifest");
  ASSERT_TRUE(tiering::rebuild_manifest({.directory = {.path = memory_.ssd_path()}}).ok());
  rig_.daemon().start();
  check();
  EXPECT_TRUE(whole(8, large));
  EXPECT_TRUE(whole(108, small_append_layout(), 800));
}

// A path that is longer than the tier is there as far as it goes, and is written once: what would
// have to make room for its end is what the end is found by.
TEST_F(LargeObjectInASmallTierTest, PathLongerThanTheTierIsKeptAsFarAsItGoes) {
  const model::Layout layout = large_span_layout();
  constexpr uint32_t kFitting = 4;  // spans, of three regions each
  commit(1, layout, 24);
  ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  EXPECT_EQ(rig_.counters().ssd_spans, kFitting);
  EXPECT_EQ(rig_.status().demoter.too_deep, 24 / 4 - kFitting);
  EXPECT_EQ(rig_.status().demoter.started, kFitting);
  EXPECT_EQ(rig_.counters().ssd_evicted, 0u);
  check();
  EXPECT_TRUE(whole(1, layout, 24)) << "from RAM";
  commit(2, small_append_layout());
  ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  EXPECT_EQ(rig_.counters().ssd_spans, kFitting - 1 + kTokens / 4) << "made room for others";
  check();
  rig_.daemon().restart();
  EXPECT_TRUE(whole(1, layout, (kFitting - 1) * 4));
  EXPECT_TRUE(whole(2, small_append_layout()));
}

// The spans lie in many regions, for those of others were written in between. The checkpoint finds
// no room beside them, which nobody else waits behind.
TEST_F(LargeObjectInASmallTierTest, EndOfAPathThatLiesScatteredIsGivenUp) {
  const model::Layout layout = large_checkpoint_layout();
  constexpr uint32_t kSpansOfARegion = 42;
  constexpr uint32_t kScattered = 10;  // regions; the checkpoint needs four of twelve
  constexpr uint32_t kTokensOfAll = 8 * kScattered;
  const auto client = connect_lazily(rig_.daemon());
  auto options = session_options(layout);
  options.staging_bytes = 16 << 20;
  const auto session = open_session(*client, options);
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokensOfAll + 1, 1)).ok());
  for (uint32_t i = 1; i <= kScattered; ++i) {
    ASSERT_TRUE(commit_object(*session, FillKind::kSpan, 8 * i).ok());
    ASSERT_TRUE(rig_.settle());
    const auto other = rig_.session(*client, 100 + i, 8 * kSpansOfARegion, layout);
    for (uint32_t span = 1; span < kSpansOfARegion; ++span) {
      ASSERT_TRUE(commit_object(*other, FillKind::kSpan, 8 * span).ok());
    }
    ASSERT_TRUE(rig_.settle());
  }
  ASSERT_TRUE(commit_object(*session, FillKind::kCheckpoint, kTokensOfAll).ok());
  ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  EXPECT_EQ(rig_.status().demoter.too_deep, 1u);
  EXPECT_EQ(rig_.counters().ssd_evicted, 0u) << "in vain";
  EXPECT_TRUE(whole(1, layout, kTokensOfAll)) << "from RAM";
  commit(2, small_append_layout());
  ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  check();
  rig_.daemon().restart();
  EXPECT_TRUE(whole(2, small_append_layout()));
}

// A path grows beyond the tier while its copies make room for its own end: what is on its way to
// the device keeps the copy of its parent there, without which nothing finds it after a restart.
TEST_F(LargeObjectInATinyTierTest, Law08_CopyOfAParentStaysWhileItsChildIsWritten) {
  const model::Layout layout = small_packing_append_layout();
  for (const uint32_t tokens : {200u, 400u, 4000u}) {
    commit(1, layout, tokens);
    ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  }
  EXPECT_GT(rig_.status().demoter.too_deep, 0u);
  const uint64_t spans = rig_.counters().ssd_spans;
  check();
  rig_.daemon().restart();
  EXPECT_EQ(rig_.status().restored.orphans, 0u);
  EXPECT_EQ(rig_.status().restored.spans, spans);
}

// No slot size is known: its regions are held, all of them.
TEST_F(LargeObjectInASmallTierTest, Law08_WithoutItsLayoutFileItIsKeptWhole) {
  const model::Layout layout = large_checkpoint_layout();
  commit(1, layout);
  ASSERT_TRUE(rig_.settle());
  rig_.daemon().stop();
  const std::string layouts = memory_.ssd_path() + "/layouts";
  std::filesystem::rename(layouts, memory_.ssd_path() + "/away");
  rig_.daemon().start();
  EXPECT_EQ(kept(KeptReason::kNoLayout), 1 + kTokens / 8);
  EXPECT_EQ(rig_.status().space.held_regions, 4u + 1u);
  for (uint64_t context = 2; context <= 6; ++context) {
    commit(context, large_span_layout(), 12);
    commit(100 + context, small_append_layout(), 400);
    ASSERT_TRUE(idle()) << rig_.status().blocked_by;
    check();
  }
  EXPECT_GT(rig_.counters().ssd_evicted, 0u);
  rig_.daemon().stop();
  for (const auto& entry : std::filesystem::directory_iterator(memory_.ssd_path() + "/away")) {
    std::filesystem::rename(entry.path(), layouts + "/" + entry.path().filename().string());
  }
  rig_.daemon().start();
  EXPECT_EQ(kept(KeptReason::kNoLayout), 0u);
  check();
  EXPECT_TRUE(whole(1, layout));
}

TEST_F(LargeObjectInASmallTierTest, WhatIsKeptIsDroppedWithAllItsRegions) {
  commit(1, large_checkpoint_layout());
  ASSERT_TRUE(rig_.settle());
  rig_.daemon().stop();
  std::filesystem::remove_all(memory_.ssd_path() + "/layouts");
  rig_.daemon().start();
  EXPECT_EQ(rig_.status().space.held_regions, 4u + 1u);
  rig_.daemon().on_core(
      [](server::Daemon& d) { EXPECT_TRUE(d.ssd_tier()->upkeep()->drop_kept("").ok()); });
  ASSERT_TRUE(rig_.daemon().eventually([](server::Daemon& d) {
    return d.tiers()->idle() && ssd_status(d).space.held_regions == 0;
  }));
  EXPECT_EQ(kept(KeptReason::kNoLayout), 0u);
  check();
  rig_.daemon().restart();
  EXPECT_EQ(kept(KeptReason::kNoLayout), 0u);
  commit(1, large_checkpoint_layout());
  ASSERT_TRUE(rig_.settle());
  rig_.empty_ram();
  EXPECT_TRUE(whole(1, large_checkpoint_layout()));
}

// An object that would fit only where kept content lies drives nothing out.
TEST_F(LargeObjectInASmallTierTest, NothingMakesWayInVainWhereKeptContentLies) {
  for (const uint64_t context : {1, 2}) commit(context, large_checkpoint_layout());
  ASSERT_TRUE(rig_.settle());
  rig_.daemon().stop();
  std::filesystem::remove_all(memory_.ssd_path() + "/layouts");
  rig_.daemon().start();
  commit(3, small_append_layout());
  ASSERT_TRUE(rig_.settle());
  const uint64_t copies = rig_.counters().ssd_spans;
  commit(4, large_checkpoint_layout());
  ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  EXPECT_EQ(rig_.status().demoter.too_large, 1u);
  EXPECT_EQ(rig_.counters().ssd_evicted, 0u);
  EXPECT_EQ(rig_.counters().ssd_spans, copies + kTokens / 8);
  check();
}

// The first of its regions is there, another lies in a file that is not.
TEST_F(LargeObjectTest, Law08_WithoutOneOfItsFilesItIsKeptAndServedWhenThatIsBack) {
  const model::Layout layout = large_span_layout();
  for (const uint64_t context : {1, 2}) commit(context, layout, 12);
  ASSERT_TRUE(rig_.settle());
  rig_.daemon().stop();
  const std::string file = file_of(16);
  ASSERT_TRUE(std::filesystem::exists(file));
  std::filesystem::rename(file, file + ".away");
  rig_.daemon().start();
  EXPECT_EQ(kept(KeptReason::kNoData), 1u);
  EXPECT_EQ(rig_.counters().ssd_spans, 5u);
  for (const uint64_t context : {3, 4}) commit(context, layout, 12);
  ASSERT_TRUE(rig_.settle());
  check();
  EXPECT_FALSE(std::filesystem::exists(file)) << "not made anew";
  rig_.daemon().stop();
  std::filesystem::rename(file + ".away", file);
  rig_.daemon().start();
  EXPECT_EQ(kept(KeptReason::kNoData), 0u);
  check();
  for (uint64_t context = 1; context <= 4; ++context) EXPECT_TRUE(whole(context, layout, 12));
}

TEST_F(LargeObjectTest, Law08_AnSsdThatShrinksGivesTheirRegionsBackWhole) {
  constexpr uint64_t kLess = 12ull << 20;
  const model::Layout layout = large_checkpoint_layout();
  for (uint64_t context = 1; context <= 6; ++context) commit(context, layout);
  ASSERT_TRUE(rig_.settle());
  rig_.daemon().options().ssd_bytes = kLess;
  rig_.daemon().restart();
  EXPECT_EQ(rig_.status().state, tiering::TierMode::kReadOnly);
  check();
  for (uint64_t context = 1; context <= 6; ++context) EXPECT_TRUE(whole(context, layout));
  rig_.daemon().options().ssd_shrink = "evict";
  rig_.daemon().restart();
  ASSERT_TRUE(rig_.daemon().eventually([](server::Daemon& d) {
    return d.tiers()->idle() && ssd_status(d).space.allocated_bytes <= kLess;
  })) << rig_.status().blocked_by;
  EXPECT_EQ(rig_.status().state, tiering::TierMode::kOk);
  EXPECT_GT(rig_.counters().ssd_checkpoints + rig_.counters().ssd_spans, 0u);
  check();
  for (uint64_t context = 11; context <= 13; ++context) {
    commit(context, layout);
    ASSERT_TRUE(idle()) << rig_.status().blocked_by;
  }
  EXPECT_LE(rig_.status().space.allocated_bytes, kLess);
  check();
  rig_.daemon().restart();
  EXPECT_TRUE(whole(13, layout));
}

TEST_F(LargeObjectInATinyTierTest, ObjectLargerThanTheTierIsRefusedAndToldOf) {
  const model::Layout layout = large_checkpoint_layout();
  commit(1, layout);
  ASSERT_TRUE(rig_.daemon().eventually(
      [](server::Daemon& d) { return d.tiers()->idle() && ssd_status(d).demoter.too_large > 0; }));
  const SsdStatus status = rig_.status();
  EXPECT_EQ(status.largest_object_bytes, (3ull << 20) - 4096);
  EXPECT_GT(status.demoter.largest_refused, 3ull << 20);
  EXPECT_EQ(status.state, tiering::TierMode::kOk);
  EXPECT_EQ(rig_.counters().ssd_spans, kTokens / 8) << "what fits is written all the same";
  EXPECT_TRUE(whole(1, layout)) << "from RAM";
  const auto client = connect_lazily(rig_.daemon());
  const auto json = client->status_json();
  ASSERT_TRUE(json.ok());
  EXPECT_NE(json->find("\"too_large_objects\":1"), std::string::npos) << *json;
}

}  // namespace quire::tests::ssd_large_object_test
