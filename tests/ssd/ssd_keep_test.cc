// A start destroys nothing (law 8): what it cannot serve it keeps, says so and why, and a later
// start that can serves it to the last byte. Erased is what can never be hit again.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/ssd_faults.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace quire::tests::ssd_keep_test {

namespace fs = std::filesystem;
using tiering::KeptCount;
using tiering::KeptReason;
using tiering::Manifest;
using tiering::TierMode;

namespace {

constexpr uint32_t kTokens = 40;
constexpr uint64_t kMiB = 1ull << 20;

bool whole(const Hit& hit, uint32_t tokens = kTokens) {
  return hit.announced_tokens == tokens && hit.code == model::Errc::kOk && hit.wrong.empty();
}

// All of it comes from the device.
bool served(SsdRig& rig, uint64_t context, const model::Layout& layout = small_hybrid_layout(),
            uint32_t tokens = kTokens) {
  const auto client = connect_lazily(rig.daemon());
  const Hit hit = try_hit(rig, *client, context, tokens, layout);
  return whole(hit, tokens) && hit.tokens_ssd == tokens;
}

void commit_durably(SsdRig& rig, uint64_t context,
                    const model::Layout& layout = small_hybrid_layout(),
                    uint32_t tokens = kTokens) {
  rig.commit(*connect_lazily(rig.daemon()), context, tokens, layout);
  ASSERT_TRUE(rig.settle());
}

// One page is larger than the smallest segment.
model::Layout large_layout() {
  model::Layout layout;
  layout.name = "large";
  layout.unit_tokens = 4;
  layout.block_tokens = 4;
  model::Group group;
  group.name = "kv";
  group.kind = model::GroupKind::kAppend;
  group.page_bytes = 80 * kMiB;
  group.layers = {{.layer = 0, .offset = 0, .bytes = group.page_bytes}};
  layout.groups = {group};
  return layout;
}

std::string layout_file(const SsdRig& rig, const model::Layout& layout) {
  std::string name;
  for (const uint8_t byte : model::layout_digest(layout).bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    name += kDigits[byte >> 4];
    name += kDigits[byte & 15];
  }
  return rig.ssd_path() + "/layouts/" + name;
}

KeptCount count_of(SsdRig& rig, KeptReason reason) {
  return rig.status().kept[static_cast<size_t>(reason)];
}

uint64_t kept_objects(SsdRig& rig) {
  uint64_t objects = 0;
  for (const KeptCount& count : rig.status().kept) objects += count.objects;
  return objects;
}

bool says_degraded(SsdRig& rig) {
  const auto status = connect_lazily(rig.daemon())->status_json();
  QUIRE_CHECK(status.ok());
  return status->find("\"state\":\"degraded\"") != std::string::npos;
}

uint64_t blocks_of_data(const SsdRig& rig) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(rig.ssd_path())) {
    struct stat status = {};
    if (!entry.path().filename().string().starts_with("data.")) continue;
    QUIRE_CHECK(::stat(entry.path().c_str(), &status) == 0);
    bytes += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

size_t root_records(const SsdRig& rig) {
  const auto manifest = Manifest::open({.path = rig.ssd_path() + "/manifest", .read_only = true});
  QUIRE_CHECK(manifest.ok());
  return (*manifest)->read_roots()->roots.size();
}

}  // namespace

TEST(SsdKeep, Law08_AStartWithSmallerSegmentsKeepsWhatNeedsLargerOnes) {
  SsdRig rig({}, [](server::Options& options) {
    options.ram_bytes = 128 * kMiB;
    options.segment_bytes = 128 * kMiB;
    options.ssd_region_bytes = 128 * kMiB;
    options.ssd_bytes = 512 * kMiB;
    options.ssd_codec = "off";
  });
  {
    const auto client = connect_lazily(rig.daemon());
    client::SessionOptions options = session_options(large_layout());
    options.staging_bytes = 80 * kMiB;
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(5, 1)).ok());
    ASSERT_TRUE(commit_context(*session, 5).ok());
    ASSERT_TRUE(rig.settle());
  }
  rig.daemon().options().segment_bytes = 64 * kMiB;
  rig.daemon().restart();
  EXPECT_EQ(count_of(rig, KeptReason::kSegmentTooSmall).objects, 1u);
  EXPECT_GE(count_of(rig, KeptReason::kSegmentTooSmall).bytes, 80 * kMiB);
  EXPECT_NE(rig.status().kept_action.find("--segment_bytes"), std::string::npos);
  EXPECT_TRUE(says_degraded(rig));
  commit_durably(rig, 2);
  EXPECT_EQ(audit(rig), "");
  rig.daemon().options().segment_bytes = 128 * kMiB;
  rig.daemon().restart();
  EXPECT_TRUE(served(rig, 1, large_layout(), 4));
  EXPECT_TRUE(served(rig, 2));
}

TEST(SsdKeep, Law08_WhatHasNoLayoutFileIsKeptAndServedWhenItIsBack) {
  for (const bool damaged : {false, true}) {
    SsdRig rig;
    commit_durably(rig, 1);
    rig.daemon().stop();
    const std::string file = layout_file(rig, small_hybrid_layout());
    const std::string bytes = read_bytes(file);
    if (damaged) {
      write_bytes(file, bytes.substr(1));
    } else {
      fs::remove(file);
    }
    rig.daemon().start();
    EXPECT_EQ(count_of(rig, KeptReason::kNoLayout).objects, kTokens / 8 + 1);
    EXPECT_TRUE(says_degraded(rig));
    for (uint64_t context = 2; context <= 12; ++context) {
      commit_durably(rig, context, small_append_layout());
    }
    EXPECT_EQ(audit(rig), "");
    rig.daemon().stop();
    write_bytes(file, bytes);
    rig.daemon().start();
    EXPECT_TRUE(served(rig, 1)) << damaged;
    EXPECT_TRUE(served(rig, 12, small_append_layout())) << damaged;
    EXPECT_FALSE(says_degraded(rig));
  }
}

TEST(SsdKeep, Law08_WhatLiesInAMissingDataFileIsKeptAndServedWhenItIsBack) {
  SsdRig rig;
  commit_durably(rig, 1);
  const std::string file = rig.ssd_path() + "/data.000000";
  for (const bool cut : {false, true}) {
    rig.daemon().stop();
    const std::string bytes = read_bytes(file);
    if (cut) {
      fs::resize_file(file, kMiB / 2);
    } else {
      fs::remove(file);
    }
    rig.daemon().start();
    EXPECT_GT(count_of(rig, KeptReason::kNoData).objects, 0u);
    EXPECT_TRUE(says_degraded(rig));
    for (uint64_t context = 2; context <= 6; ++context) commit_durably(rig, context);
    EXPECT_EQ(audit(rig), "");
    EXPECT_EQ(fs::exists(file), cut);  // not made anew
    rig.daemon().stop();
    write_bytes(file, bytes);
    rig.daemon().start();
    EXPECT_TRUE(served(rig, 1)) << cut;
    EXPECT_TRUE(served(rig, 6)) << cut;
  }
}

TEST(SsdKeep, Law08_ASmallerIndexKeepsWhatFindsNoPlaceInIt) {
  constexpr uint32_t kMany = 2800;
  SsdRig rig({}, [](server::Options& options) { options.max_nodes = 4096; });
  for (const uint64_t context : {1, 2}) {
    commit_durably(rig, context, small_append_layout(), kMany);
  }
  rig.daemon().options().max_nodes = 1024;
  rig.daemon().restart();
  EXPECT_EQ(count_of(rig, KeptReason::kIndexFull).objects + rig.counters().ssd_spans,
            2 * kMany / 4);
  EXPECT_NE(rig.status().kept_action.find("several --ssd_path"), std::string::npos);
  EXPECT_EQ(audit(rig), "");
  rig.daemon().options().max_nodes = 4096;
  rig.daemon().restart();
  for (const uint64_t context : {1, 2}) {
    EXPECT_TRUE(served(rig, context, small_append_layout(), kMany)) << context;
  }
}

TEST(SsdKeep, ARootsRecordGoesWithItsLastRun) {
  SsdRig rig;
  commit_durably(rig, 1);
  commit_durably(rig, 2, small_append_layout());
  rig.empty_ram();
  rig.daemon().on_core([](server::Daemon& d) { meddle(d).empty_ssd(); });
  ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
    return ssd_status(d).space.freeing_slots == 0 && d.tiers()->idle();
  }));
  rig.daemon().stop();
  EXPECT_EQ(root_records(rig), 0u);
  // What comes later has its record again.
  rig.daemon().start();
  commit_durably(rig, 1);
  rig.daemon().stop();
  EXPECT_EQ(root_records(rig), 1u);
  rig.daemon().start();
  EXPECT_TRUE(served(rig, 1));
}

// As versions left them that did not erase them.
TEST(SsdKeep, ARootsRecordWithoutARunIsErasedAtStart) {
  SsdRig rig;
  commit_durably(rig, 1);
  rig.daemon().stop();
  {
    const auto manifest = Manifest::open({.path = rig.ssd_path() + "/manifest"});
    ASSERT_TRUE(manifest.ok());
    tiering::RootRecord root = (*manifest)->read_roots()->roots.front();
    root.id = 77;
    root.hash.bytes[0] ^= 1;
    tiering::ManifestBatch batch;
    batch.put_root(root);
    ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  }
  EXPECT_EQ(root_records(rig), 2u);
  rig.daemon().start();
  EXPECT_TRUE(served(rig, 1));
  rig.daemon().stop();
  EXPECT_EQ(root_records(rig), 1u);
}

// Three regions of the directory, and less than one of the flag.
TEST(SsdKeep, TheDirectorysRegionSizeCountsNotTheFlags) {
  SsdRig rig({}, [](server::Options& options) { options.ssd_region_bytes = 16 * kMiB; });
  commit_durably(rig, 1);
  rig.daemon().options().ssd_region_bytes = server::Options{}.ssd_region_bytes;
  rig.daemon().options().ssd_bytes = 48 * kMiB;
  ASSERT_GT(rig.daemon().options().ssd_region_bytes, rig.daemon().options().ssd_bytes);
  rig.daemon().restart();
  EXPECT_EQ(rig.status().state, TierMode::kOk);
  EXPECT_EQ(rig.status().space.capacity_bytes, 48 * kMiB);
  EXPECT_TRUE(served(rig, 1));
  commit_durably(rig, 2);
  EXPECT_EQ(audit(rig), "");
}

// What depends on kept content is kept with it.
TEST(SsdKeep, Law08_ChildrenOfWhatIsKeptAreNoOrphans) {
  SsdRig rig({}, [](server::Options& options) { options.ssd_bytes = 64 * kMiB; });
  // Its first spans lie in the first file, what was added later in another one.
  commit_durably(rig, 1);
  for (uint64_t context = 10; !fs::exists(rig.ssd_path() + "/data.000001"); ++context) {
    commit_durably(rig, context, small_hybrid_layout(), 400);
  }
  commit_durably(rig, 1, small_hybrid_layout(), 400);
  rig.daemon().stop();
  const std::string file = rig.ssd_path() + "/data.000000";
  fs::rename(file, file + ".away");
  rig.daemon().start();
  EXPECT_EQ(rig.status().restored.orphans, 0u);
  EXPECT_GT(count_of(rig, KeptReason::kNoData).objects, 0u);
  rig.daemon().stop();
  fs::rename(file + ".away", file);
  rig.daemon().start();
  EXPECT_TRUE(served(rig, 1, small_hybrid_layout(), 400));
}

TEST(SsdKeep, AnOrphanIsErased) {
  SsdRig rig;
  commit_durably(rig, 1);
  rig.daemon().stop();
  {
    const auto manifest = Manifest::open({.path = rig.ssd_path() + "/manifest"});
    ASSERT_TRUE(manifest.ok());
    tiering::RunRecord orphan;
    ASSERT_TRUE((*manifest)
                    ->read_runs([&](const tiering::RunRecord& run) {
                      orphan = run;
                      return false;
                    })
                    .ok());
    orphan.key.slot = tiering::SsdSlot::of(0, 60);
    orphan.key.units += 4;
    orphan.parent_units += 4;
    orphan.keys.resize(1);
    orphan.keys[0].bytes[0] ^= 1;
    orphan.parent_key.bytes[0] ^= 1;
    tiering::ManifestBatch batch;
    batch.put_run(orphan);
    ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  }
  rig.daemon().start();
  EXPECT_EQ(rig.status().restored.orphans, 1u);
  EXPECT_EQ(audit(rig), "");
  EXPECT_TRUE(served(rig, 1));
  rig.daemon().restart();
  EXPECT_EQ(rig.status().restored.orphans, 0u);
}

// A later epoch makes kept content stale: it is erased then, and its records with it.
TEST(SsdKeep, KeptContentOfAnOlderEpochIsErased) {
  SsdRig rig;
  commit_durably(rig, 1);
  rig.daemon().stop();
  const std::string file = layout_file(rig, small_hybrid_layout());
  fs::rename(file, file + "x");
  rig.daemon().start();
  EXPECT_GT(kept_objects(rig), 0u);
  {
    const auto client = connect_lazily(rig.daemon());
    client::SessionOptions options = session_options(small_append_layout());
    options.weights_epoch = 9;
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(9, 5)).ok());
    ASSERT_TRUE(commit_context(*session, 9).ok());
    ASSERT_TRUE(rig.settle());
  }
  rig.daemon().restart();
  EXPECT_EQ(kept_objects(rig), 0u);
  EXPECT_GT(rig.status().restored.stale, 0u);
  rig.daemon().stop();
  EXPECT_EQ(root_records(rig), 1u);
}

TEST(SsdKeep, AnAdministratorDropsWhatIsKept) {
  for (const bool data : {false, true}) {
    SsdRig rig;
    commit_durably(rig, 1);
    rig.daemon().stop();
    fs::remove(data ? rig.ssd_path() + "/data.000000" : layout_file(rig, small_hybrid_layout()));
    rig.daemon().start();
    const auto client = connect_lazily(rig.daemon());
    EXPECT_EQ(client->kept_json(model::KeptAction::kDrop, "no_such").code(),
              model::Errc::kInvalidArgument);
    const std::string name(kept_reason_name(data ? KeptReason::kNoData : KeptReason::kNoLayout));
    ASSERT_TRUE(client->kept_json(model::KeptAction::kDrop, "duplicate").ok());
    EXPECT_GT(kept_objects(rig), 0u);
    ASSERT_TRUE(client->kept_json(model::KeptAction::kDrop, name).ok());
    ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
      const SsdStatus status = ssd_status(d);
      return !status.dropping_kept && d.tiers()->idle() && status.space.used_slots == 0 &&
             status.space.held_regions == 0;
    }));
    EXPECT_EQ(kept_objects(rig), 0u);
    EXPECT_FALSE(says_degraded(rig));
    EXPECT_EQ(audit(rig), "");
    commit_durably(rig, 2);
    rig.daemon().restart();
    EXPECT_EQ(kept_objects(rig), 0u);
    EXPECT_TRUE(served(rig, 2)) << data;
    rig.daemon().stop();
    EXPECT_EQ(root_records(rig), 1u);
  }
}

// The root is opened again while its content is kept: one number for both.
TEST(SsdKeep, WhatIsCommittedBesideKeptContentOfItsRootIsServedWithIt) {
  SsdRig rig;
  commit_durably(rig, 1);
  rig.daemon().stop();
  const std::string file = layout_file(rig, small_hybrid_layout());
  fs::remove(file);
  rig.daemon().start();
  commit_durably(rig, 2);
  commit_durably(rig, 1);  // again: the copies that are kept are duplicates at the next start
  ASSERT_TRUE(fs::exists(file));
  rig.daemon().restart();
  EXPECT_EQ(count_of(rig, KeptReason::kDuplicate).objects, kTokens / 8 + 1);
  EXPECT_FALSE(says_degraded(rig));
  EXPECT_TRUE(served(rig, 1));
  EXPECT_TRUE(served(rig, 2));
  EXPECT_EQ(audit(rig), "");
  rig.daemon().stop();
  EXPECT_EQ(root_records(rig), 1u);
  rig.daemon().start();
  rig.daemon().on_core([](server::Daemon& d) {
    EXPECT_TRUE(d.ssd_tier()->upkeep()->drop_kept("").ok());
    meddle(d).empty_ssd();
  });
  ASSERT_TRUE(rig.daemon().eventually([](server::Daemon& d) {
    const SsdStatus status = ssd_status(d);
    return d.tiers()->idle() && status.space.used_slots == 0 && status.space.freeing_slots == 0;
  }));
  rig.daemon().stop();
  EXPECT_EQ(root_records(rig), 0u);
}

// Law 8: a log that was emptied looks like one that never held anything.
TEST(SsdKeep, Law08_AManifestThatLostItsLogIsNoticedAndNothingIsWrittenOver) {
  for (const bool all : {false, true}) {
    SsdRig rig;
    commit_durably(rig, 1);
    rig.daemon().restart();
    commit_durably(rig, 2);
    rig.daemon().stop();
    const std::string manifest = rig.ssd_path() + "/manifest";
    const std::string data = read_bytes(rig.ssd_path() + "/data.000000");
    for (const auto& entry : fs::directory_iterator(manifest)) {
      if (entry.path().extension() == ".log") fs::resize_file(entry.path(), 0);
    }
    if (all) {
      fs::remove_all(manifest);
      fs::create_directory(manifest);
    }
    rig.daemon().start();
    EXPECT_TRUE(says_degraded(rig));
    if (!all) {
      const SsdStatus status = rig.status();
      EXPECT_EQ(status.state, TierMode::kReadOnly);
      EXPECT_NE(status.action.find("quirectl rebuild"), std::string::npos) << status.action;
      EXPECT_TRUE(served(rig, 1));
      rig.commit(*connect_lazily(rig.daemon()), 3, kTokens);
    }
    rig.daemon().stop();
    EXPECT_EQ(read_bytes(rig.ssd_path() + "/data.000000"), data);
    const auto rebuilt = tiering::rebuild_manifest({.directory = {.path = rig.ssd_path()}});
    ASSERT_TRUE(rebuilt.ok()) << rebuilt.error().text;
    rig.daemon().start();
    EXPECT_FALSE(says_degraded(rig));
    EXPECT_TRUE(served(rig, 1));
    EXPECT_TRUE(served(rig, 2));
  }
}

class SsdShrink : public testing::Test {
 protected:
  static constexpr uint64_t kContexts = 10;
  static constexpr uint64_t kFull = 16 * kMiB;
  static constexpr uint64_t kLess = 4 * kMiB;
  static constexpr uint64_t kOfTheFileSystem = 64 << 10;  // its own blocks, counted to the files
  static constexpr uint32_t kLong = 400;

  SsdShrink() {
    for (uint64_t context = 1; context <= kContexts; ++context) {
      commit_durably(rig_, context, small_hybrid_layout(), kLong);
    }
    QUIRE_CHECK(blocks_of_data(rig_) > kLess);
  }
  void restart(uint64_t bytes, const std::string& shrink) {
    rig_.daemon().options().ssd_bytes = bytes;
    rig_.daemon().options().ssd_shrink = shrink;
    rig_.daemon().restart();
  }
  bool is_served(uint64_t context) { return served(rig_, context, small_hybrid_layout(), kLong); }

  SsdRig rig_{{}, [](server::Options& options) { options.ssd_bytes = kFull; }};
};

TEST_F(SsdShrink, Law08_FewerBytesAreRefusedUntilTheOperatorSaysWhatGoes) {
  const uint64_t copies = rig_.counters().ssd_spans;
  restart(kLess, "refuse");
  const SsdStatus status = rig_.status();
  EXPECT_EQ(status.state, TierMode::kReadOnly);
  EXPECT_NE(status.action.find("--ssd_shrink=evict"), std::string::npos) << status.action;
  EXPECT_EQ(rig_.counters().ssd_spans, copies);
  for (uint64_t context = 1; context <= kContexts; ++context) EXPECT_TRUE(is_served(context));
  restart(kFull, "refuse");
  EXPECT_EQ(rig_.status().state, TierMode::kOk);
  EXPECT_EQ(rig_.counters().ssd_spans, copies);
  for (uint64_t context = 1; context <= kContexts; ++context) EXPECT_TRUE(is_served(context));
}

TEST_F(SsdShrink, FewerBytesAreEvictedToAndMoreAreUsedAgain) {
  restart(kLess, "evict");
  ASSERT_TRUE(rig_.daemon().eventually([](server::Daemon& d) {
    return d.tiers()->idle() && ssd_status(d).space.allocated_bytes <= kLess;
  }));
  EXPECT_EQ(rig_.status().state, TierMode::kOk);
  EXPECT_LE(blocks_of_data(rig_), kLess + kOfTheFileSystem);
  EXPECT_GT(rig_.counters().ssd_spans, 0u);
  EXPECT_EQ(audit(rig_), "");
  // What is left is right, and what comes finds room within the limit.
  const auto client = connect_lazily(rig_.daemon());
  for (uint64_t context = 1; context <= kContexts; ++context) {
    EXPECT_EQ(try_hit(rig_, *client, context, kLong).wrong, "");
  }
  rig_.empty_ram();
  for (uint64_t context = 20; context <= 24; ++context) {
    commit_durably(rig_, context, small_hybrid_layout(), 40);
  }
  EXPECT_LE(blocks_of_data(rig_), kLess + kOfTheFileSystem);
  restart(kFull, "evict");
  EXPECT_TRUE(served(rig_, 24, small_hybrid_layout(), 40));
  for (uint64_t context = 31; context <= 36; ++context) {
    commit_durably(rig_, context, small_hybrid_layout(), kLong);
  }
  EXPECT_GT(rig_.status().space.allocated_bytes, kLess);
  rig_.empty_ram();
  EXPECT_TRUE(is_served(36));
  EXPECT_EQ(audit(rig_), "");
}

}  // namespace quire::tests::ssd_keep_test
