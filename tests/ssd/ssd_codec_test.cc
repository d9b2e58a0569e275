// Objects that are stored encoded, from end to end: only where it pays, read back to the last byte,
// after a restart and a rebuild too, and by a daemon that does not encode any more.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/packed_ssd.h"
#include "tiering/disk/manifest_records.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace quire::tests::ssd_codec_test {

namespace fs = std::filesystem;
using model::LoadOrder;
using tiering::kSsdBlockBytes;

namespace {

constexpr uint32_t kTokens = 400;
constexpr uint32_t kSpans = kTokens / 8;
constexpr uint64_t kPlainSpan = 11 * kSsdBlockBytes;  // of small_packing_layout
constexpr uint64_t kPackedSpan = 7 * kSsdBlockBytes;  // its slots

bool always(uint32_t) { return true; }

tiering::CodecGroupStatus group_status(SsdRig& rig, const std::string& name) {
  for (const tiering::CodecGroupStatus& group : rig.status().codec_groups) {
    if (group.group == name) return group;
  }
  return {};
}

std::vector<tiering::RunRecord> runs_of(const std::string& manifest) {
  std::vector<tiering::RunRecord> runs;
  const auto opened = tiering::Manifest::open({.path = manifest});
  QUIRE_CHECK(opened.ok());
  QUIRE_CHECK((*opened)
                  ->read_runs([&](const tiering::RunRecord& run) {
                    runs.push_back(run);
                    return true;
                  })
                  .ok());
  return runs;
}

uint64_t encoded_count(const std::vector<tiering::RunRecord>& runs) {
  uint64_t count = 0;
  for (const tiering::RunRecord& run : runs) count += run.slot_bytes != 0 ? run.keys.size() : 0;
  return count;
}

}  // namespace

TEST(SsdCodec, Law04_EncodedObjectsComeBackBitExact) {
  for (const char* engine : {"io_uring", "pread"}) {
    SCOPED_TRACE(engine);
    PackedSsd packed({}, engine);
    SsdRig& rig = packed.rig();
    ASSERT_TRUE(packed.learn());
    EXPECT_TRUE(group_status(rig, "global").worthwhile);
    EXPECT_TRUE(group_status(rig, "swa").worthwhile);
    EXPECT_FALSE(group_status(rig, "index").worthwhile);
    const SsdStatus before = rig.status();
    ASSERT_TRUE(packed.commit(1, kTokens));
    const SsdStatus after = rig.status();
    const uint64_t objects = after.demoter.encoded_objects - before.demoter.encoded_objects;
    EXPECT_EQ(objects, kSpans + 1);
    EXPECT_EQ(after.demoter.encoded_misfits, 0u);
    EXPECT_LT(after.demoter.encoded_stored_bytes * 100, after.demoter.encoded_plain_bytes * 70);
    const uint64_t used = after.space.used_bytes - before.space.used_bytes;
    EXPECT_GE(used, kSpans * (kPackedSpan + kSsdBlockBytes));
    EXPECT_LT(used, kSpans * (kPackedSpan + kSsdBlockBytes) + kPlainSpan);
    const uint64_t written = after.mover.written_bytes - before.mover.written_bytes;
    EXPECT_LE(written, used);
    for (const LoadOrder order : {LoadOrder::kBlockMajor, LoadOrder::kLayerMajor}) {
      ASSERT_GT(rig.empty_ram(), kSpans);
      EXPECT_TRUE(packed.is_whole(1, kTokens, small_packing_layout(), {.order = order}));
      EXPECT_EQ(packed.hit(1, kTokens).tokens_ssd, 0u);
    }
    EXPECT_EQ(rig.status().loader.corrupt, 0u);
    EXPECT_EQ(audit(rig), "");
  }
}

TEST(SsdCodec, LoadReadsLessThanItDelivers) {
  PackedSsd packed;
  const model::Layout layout = small_packing_append_layout();
  ASSERT_TRUE(packed.learn(layout));
  ASSERT_TRUE(packed.commit(1, kTokens, layout));
  packed.rig().empty_ram();
  const uint64_t before = packed.rig().status().mover.read_bytes;
  ASSERT_TRUE(packed.is_whole(1, kTokens, layout));
  const uint64_t read = packed.rig().status().mover.read_bytes - before;
  EXPECT_EQ(read, kSpans * (kPackedSpan + kSsdBlockBytes));
}

// The first spans were written before there were samples enough.
TEST(SsdCodec, PlainAndEncodedSpansOfAContextLoadTogether) {
  constexpr uint32_t kFirst = tiering::kSamplesToEnter - 1;  // however they are grouped in runs
  PackedSsd packed;
  ASSERT_TRUE(packed.commit(1, kFirst * 8));
  ASSERT_EQ(packed.demoter().encoded_objects, 0u);
  ASSERT_TRUE(packed.learn());
  ASSERT_TRUE(packed.commit(1, kTokens));
  EXPECT_GE(packed.demoter().encoded_objects, kSpans - kFirst);
  for (const LoadOrder order : {LoadOrder::kBlockMajor, LoadOrder::kLayerMajor}) {
    packed.rig().empty_ram();
    EXPECT_TRUE(packed.is_whole(1, kTokens, small_packing_layout(), {.order = order}));
  }
  packed.stop();
  uint64_t plain = 0;
  uint64_t encoded = 0;
  for (const tiering::RunRecord& run : runs_of(packed.ssd_path() + "/manifest")) {
    EXPECT_TRUE(run.slot_bytes == 0 || run.slot_bytes % kSsdBlockBytes == 0);
    (run.slot_bytes != 0 ? encoded : plain) += run.keys.size();
  }
  EXPECT_GE(plain, kFirst);
  EXPECT_GE(encoded, kSpans - kFirst);
  packed.start();
  EXPECT_TRUE(packed.is_whole(1, kTokens));
  EXPECT_EQ(audit(packed.rig()), "");
}

// Spans as they are and a checkpoint that is encoded, in adjacent slots of one region.
TEST(SsdCodec, PlainAndEncodedObjectsInSlotsOfOneSize) {
  model::Layout layout = small_packing_layout();
  layout.name = "one-size";
  layout.groups.erase(layout.groups.begin());
  layout.groups[0].page_bytes =
      20'000;  // "index": five blocks; of eight a checkpoint comes to five
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  for (uint64_t context = 1; context <= 8; ++context) {
    ASSERT_TRUE(packed.commit(context, 80, layout));
  }
  EXPECT_GE(packed.demoter().encoded_objects, 4u);
  rig.empty_ram();
  for (uint64_t context = 1; context <= 8; ++context) {
    EXPECT_TRUE(packed.is_whole(context, 80, layout)) << context;
  }
  EXPECT_EQ(rig.status().loader.corrupt, 0u);
  packed.stop();
  std::vector<tiering::RunRecord> runs = runs_of(packed.ssd_path() + "/manifest");
  const auto adjacent = [&](const tiering::RunRecord& run) {
    return run.slot_bytes == 5 * kSsdBlockBytes &&
           std::any_of(runs.begin(), runs.end(), [&](const tiering::RunRecord& before) {
             return before.slot_bytes == 0 &&
                    before.key.slot.value + before.keys.size() == run.key.slot.value;
           });
  };
  EXPECT_TRUE(std::any_of(runs.begin(), runs.end(), adjacent));
  fs::remove_all(packed.ssd_path() + "/manifest");
  const auto report = tiering::rebuild_manifest({.directory = {.path = packed.ssd_path()}});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->left_over + report->misfits, 0u);
  packed.start();
  for (uint64_t context = 1; context <= 8; ++context) {
    EXPECT_TRUE(packed.is_whole(context, 80, layout)) << context;
  }
}

TEST(SsdCodec, ContentThatDoesNotCompressIsStoredAsItIs) {
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  const model::Layout layout = small_hybrid_layout();
  for (uint64_t context = 1; context <= 6; ++context) {
    ASSERT_TRUE(packed.commit(context, 80, layout));
    ASSERT_TRUE(packed.commit(100 + context, 80, small_packing_layout(), always));
  }
  const SsdStatus status = rig.status();
  EXPECT_EQ(status.demoter.encoded_objects, 0u);
  EXPECT_EQ(status.demoter.encoded_misfits, 0u);
  EXPECT_FALSE(status.codec_groups.empty());
  for (const tiering::CodecGroupStatus& group : status.codec_groups) {
    EXPECT_FALSE(group.worthwhile) << group.group;
    EXPECT_EQ(group.ratio, 1.0) << group.group;
  }
  // 3 blocks a span; 2 and 1 a checkpoint; 11 a span; 7 and 1 a checkpoint; a header each.
  EXPECT_EQ(status.space.used_bytes, 6 * (10 * 4 + 4 + 10 * 12 + 9) * kSsdBlockBytes);
  rig.empty_ram();
  for (uint64_t context = 1; context <= 6; ++context) {
    EXPECT_TRUE(packed.is_whole(context, 80, layout));
    EXPECT_TRUE(packed.is_whole(100 + context, 80));
  }
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdCodec, WhatDoesNotFitItsSlotIsWrittenAsItIs) {
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.learn());
  ASSERT_TRUE(packed.commit(1, kTokens, small_packing_layout(), always));
  EXPECT_GT(packed.demoter().encoded_misfits, 0u);
  EXPECT_EQ(packed.demoter().failed, 0u);
  EXPECT_EQ(rig.counters().quarantined, 0u);
  EXPECT_EQ(rig.status().state, tiering::TierMode::kOk);
  EXPECT_EQ(audit(rig), "");
  rig.empty_ram();
  EXPECT_TRUE(packed.is_whole(1, kTokens));
  packed.restart();
  EXPECT_EQ(rig.status().restored.orphans, 0u);
  EXPECT_TRUE(packed.is_whole(1, kTokens));
  EXPECT_EQ(audit(rig), "");
}

TEST(SsdCodec, MisfitIsTriedOnceAndTheSizesOfItsKindGrow) {
  PackedSsd packed;
  const model::Layout layout = small_packing_append_layout();
  ASSERT_TRUE(packed.learn(layout));
  ASSERT_TRUE(packed.commit(1, 64, layout, [](uint32_t span) { return span == 5; }));
  EXPECT_EQ(packed.demoter().encoded_misfits, 1u);
  ASSERT_TRUE(packed.commit(2, kTokens, layout, always));
  const uint64_t misfits = packed.demoter().encoded_misfits;
  EXPECT_GT(misfits, 1u);
  // By now its slots are as large as it is.
  const uint64_t encoded = packed.demoter().encoded_objects;
  ASSERT_TRUE(packed.commit(3, kTokens, layout, always));
  EXPECT_EQ(packed.demoter().encoded_misfits, misfits);
  EXPECT_EQ(packed.demoter().encoded_objects, encoded);
  packed.rig().empty_ram();
  for (const uint64_t context : {2, 3}) EXPECT_TRUE(packed.is_whole(context, kTokens, layout));
}

// Misfits at each place of a run: what is before them and behind them is durable too, in order.
TEST(SsdCodec, Law08_MisfitsAmongOthersKeepTheOrderOfAPath) {
  for (const uint32_t every : {3u, 17u}) {
    SCOPED_TRACE(every);
    PackedSsd packed;
    SsdRig& rig = packed.rig();
    ASSERT_TRUE(packed.learn());
    for (uint32_t first = 0; first < 3; ++first) {
      ASSERT_TRUE(packed.commit(1 + first, kTokens, small_packing_layout(),
                                [&](uint32_t span) { return span % every == first % every; }));
    }
    EXPECT_GT(packed.demoter().encoded_misfits, 0u);
    EXPECT_EQ(packed.demoter().failed, 0u);
    EXPECT_EQ(audit(rig), "");
    rig.empty_ram();
    for (uint64_t context = 1; context <= 3; ++context) {
      EXPECT_TRUE(packed.is_whole(context, kTokens));
    }
    packed.restart();
    EXPECT_EQ(rig.status().restored.orphans, 0u);
    EXPECT_EQ(rig.status().restored.spans, 3 * kSpans + (PackedSsd::kLearnt + 1) * 2);
    for (uint64_t context = 1; context <= 3; ++context) {
      EXPECT_TRUE(packed.is_whole(context, kTokens));
    }
  }
}

TEST(SsdCodec, Law14_CountsOnlyWhatWasWritten) {
  // Long runs: what stands behind an object that does not fit was encoded, and is not written.
  PackedSsd packed([](server::Options& options) { options.ssd_write_delay_ms = 200; });
  ASSERT_TRUE(packed.learn());
  ASSERT_TRUE(packed.commit(1, kTokens, small_packing_layout(),
                            [](uint32_t span) { return span % 4 == 0; }));
  const DemoterCounters counters = packed.demoter();
  packed.stop();
  EXPECT_EQ(counters.encoded_objects, encoded_count(runs_of(packed.ssd_path() + "/manifest")));
  packed.start();
}

TEST(SsdCodec, RestartReadsWhatIsEncodedAndLearnsAnew) {
  PackedSsd packed;
  ASSERT_TRUE(packed.learn());
  for (uint64_t context = 1; context <= 3; ++context) {
    ASSERT_TRUE(packed.commit(context, kTokens));
  }
  packed.restart();
  EXPECT_EQ(packed.rig().status().restored.orphans, 0u);
  EXPECT_EQ(packed.rig().status().restored.checkpoints, 3 + PackedSsd::kLearnt + 1);
  for (uint64_t context = 1; context <= 3; ++context)
    EXPECT_TRUE(packed.is_whole(context, kTokens));
  EXPECT_EQ(packed.demoter().encoded_objects, 0u);
  ASSERT_TRUE(packed.commit(4, kTokens));
  ASSERT_TRUE(packed.commit(5, kTokens));
  EXPECT_GT(packed.demoter().encoded_objects, 0u);
  packed.rig().empty_ram();
  for (uint64_t context = 1; context <= 5; ++context)
    EXPECT_TRUE(packed.is_whole(context, kTokens));
  EXPECT_EQ(audit(packed.rig()), "");
}

TEST(SsdCodec, Law14_SwitchedOffItStillReadsWhatIsEncoded) {
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.learn());
  ASSERT_TRUE(packed.commit(1, kTokens));
  packed.stop();
  rig.daemon().options().ssd_codec = "off";
  packed.start();
  EXPECT_TRUE(packed.is_whole(1, kTokens));
  ASSERT_TRUE(packed.commit(1, kTokens + 80));  // on top of encoded ones
  for (uint64_t context = 2; context <= 6; ++context) ASSERT_TRUE(packed.commit(context, 80));
  EXPECT_EQ(packed.demoter().encoded_objects, 0u);
  EXPECT_TRUE(rig.status().codec_groups.empty());
  rig.empty_ram();
  EXPECT_TRUE(packed.is_whole(1, kTokens + 80));
  for (uint64_t context = 2; context <= 6; ++context) EXPECT_TRUE(packed.is_whole(context, 80));
  EXPECT_EQ(audit(rig), "");
  packed.stop();
  rig.daemon().options().ssd_codec = "auto";
  packed.start();
  EXPECT_TRUE(packed.is_whole(1, kTokens + 80));
}

TEST(SsdCodec, StatusShowsWhatItDoes) {
  PackedSsd packed;
  ASSERT_TRUE(packed.learn());
  const auto status = packed.client().status_json();
  ASSERT_TRUE(status.ok());
  for (const char* part : {"\"codec\":{\"mode\":\"auto\"", "\"group\":\"global\"", "\"pays\":true",
                           "\"misfits\":0", "\"stored_bytes\":"}) {
    EXPECT_NE(status->find(part), std::string::npos) << part << " in " << *status;
  }
}

// Slots are given up and used again, by encoded objects and by plain ones.
TEST(SsdCodec, Law08_SlotsOfBothFormsAreUsedAgain) {
  PackedSsd packed([](server::Options& options) { options.ssd_bytes = 4ull << 20; });
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.learn());
  for (uint64_t context = 1; context <= 6; ++context) {
    const bool noise = context % 3 == 0;
    ASSERT_TRUE(
        packed.commit(context, 80, small_packing_layout(), [&](uint32_t) { return noise; }));
    EXPECT_TRUE(packed.is_whole(context, 80));
    rig.empty_ram();
    EXPECT_TRUE(packed.is_whole(context, 80));
    rig.daemon().on_core([](server::Daemon& daemon) {
      meddle(daemon).evict();
      meddle(daemon).empty_ssd();
    });
    EXPECT_EQ(audit(rig), "");
  }
  EXPECT_EQ(rig.status().space.used_slots, 0u);
}

TEST(SsdCodec, Law08_RebuildFindsWhatIsEncoded) {
  PackedSsd packed;
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.commit(1, 104));
  ASSERT_TRUE(packed.learn());
  ASSERT_TRUE(packed.commit(1, kTokens));
  ASSERT_TRUE(packed.commit(2, kTokens, small_packing_layout(),
                            [](uint32_t span) { return span % 7 == 0; }));
  packed.stop();
  const std::string manifest = packed.ssd_path() + "/manifest";
  const uint64_t before = encoded_count(runs_of(manifest));
  ASSERT_GT(before, kSpans / 2);
  fs::remove_all(manifest);
  const auto report = tiering::rebuild_manifest({.directory = {.path = packed.ssd_path()}});
  ASSERT_TRUE(report.ok()) << report.error().text;
  EXPECT_EQ(report->misfits + report->misplaced + report->damaged + report->orphans, 0u);
  EXPECT_EQ(report->older_copies, 0u);
  EXPECT_EQ(report->spans, 2 * kSpans + (PackedSsd::kLearnt + 1) * 2);
  EXPECT_EQ(encoded_count(runs_of(manifest)), before);
  packed.start();
  EXPECT_EQ(rig.status().restored.orphans, 0u);
  EXPECT_TRUE(packed.is_whole(1, kTokens));
  EXPECT_TRUE(packed.is_whole(2, kTokens));
  EXPECT_EQ(rig.status().loader.corrupt, 0u);
  EXPECT_EQ(audit(rig), "");
}

// A run whose slots are not smaller than its objects is no run of encoded ones.
TEST(SsdCodec, Law08_RunWithSlotsThatAreTooLargeAsksForARebuild) {
  PackedSsd packed;
  ASSERT_TRUE(packed.learn(small_packing_append_layout()));
  ASSERT_TRUE(packed.commit(1, kTokens, small_packing_append_layout()));
  const std::string manifest = packed.ssd_path() + "/manifest";
  for (const uint64_t slot_bytes : {kPlainSpan, kPlainSpan + kSsdBlockBytes, uint64_t{1} << 40}) {
    packed.stop();
    std::vector<tiering::RunRecord> runs = runs_of(manifest);
    const auto last = std::find_if(runs.rbegin(), runs.rend(),
                                   [](const auto& run) { return run.slot_bytes != 0; });
    ASSERT_NE(last, runs.rend());
    // All of its region, which has one slot size.
    const uint32_t region = last->key.slot.region();
    for (tiering::RunRecord& run : runs) {
      if (run.key.slot.region() != region) continue;
      run.slot_bytes = slot_bytes;
      put_raw(manifest, tiering::run_key(tiering::kRunPrefix, run.key), tiering::run_value(run));
    }
    packed.start();
    const auto status = packed.client().status_json();
    ASSERT_TRUE(status.ok());
    EXPECT_NE(status->find("quirectl rebuild"), std::string::npos) << *status;
    EXPECT_EQ(packed.hit(1, kTokens, small_packing_append_layout()).announced_tokens, 0u);
    packed.stop();
    ASSERT_TRUE(tiering::rebuild_manifest({.directory = {.path = packed.ssd_path()}}).ok());
    packed.start();
    EXPECT_TRUE(packed.is_whole(1, kTokens, small_packing_append_layout()));
  }
}

namespace {

void load_many_at_once(uint64_t codec_bytes) {
  constexpr uint64_t kContexts = 12;
  constexpr uint32_t kShort = 160;
  PackedSsd packed([&](server::Options& options) { options.ssd_codec_bytes = codec_bytes; });
  SsdRig& rig = packed.rig();
  ASSERT_TRUE(packed.learn());
  for (uint64_t context = 1; context <= kContexts; ++context) {
    ASSERT_TRUE(packed.commit(context, kShort));
  }
  rig.empty_ram();
  std::vector<std::unique_ptr<client::Session>> readers;
  std::vector<model::MatchResult> matches;
  std::vector<client::RequestId> loads;
  for (uint64_t context = 1; context <= kContexts; ++context) {
    readers.push_back(rig.session(packed.client(), context, kShort, small_packing_layout()));
    matches.push_back(*readers.back()->match(kShort + 1));
    EXPECT_EQ(matches.back().tokens[model::TierId::kSsd], kShort);
  }
  for (size_t i = 0; i < kContexts; ++i) {
    loads.push_back(*readers[i]->submit_load(matches[i].lease));
    readers[i]->flush();
  }
  for (size_t i = 0; i < kContexts; ++i) {
    EXPECT_EQ(finish_load(*readers[i], matches[i], loads[i]), "");
  }
  readers.clear();
  EXPECT_EQ(audit(rig), "");
}

}  // namespace

TEST(SsdCodec, ManyLoadsAtOnceAllComeToAnEnd) { load_many_at_once(128ull << 20); }

// A transfer has room for a few objects, and four have any.
TEST(SsdCodec, ManyLoadsWithLittleMemoryAllComeToAnEnd) { load_many_at_once(1ull << 20); }

}  // namespace quire::tests::ssd_codec_test
