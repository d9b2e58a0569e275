// Index and data that disagree (reliability: fault 22), two daemons on one directory (21), and the
// offline rebuild of the manifest from the headers of extents.
#include "tiering/rebuild/ssd_rebuild.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "tests/ssd/hit_check.h"
#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/ssd_child.h"
#include "tests/ssd/ssd_rig.h"
#include "tests/support/faulty_file_system.h"
#include "tiering/disk/ssd_directory.h"

namespace quire::tests::ssd_rebuild_test {

namespace fs = std::filesystem;
using model::Errc;
using tiering::ExtentHeader;
using tiering::kSsdBlockBytes;
using tiering::RebuildReport;

namespace {

constexpr uint32_t kTokens = 400;
constexpr uint32_t kSpans = kTokens / 8;  // of small_hybrid_layout
constexpr uint32_t kAppendTokens = 100;   // of small_append_layout: 25 spans
constexpr uint64_t kAppendContext = 50;   // in it
constexpr uint64_t kRegionBytes = 1ull << 20;

model::Result<RebuildReport> rebuild(const std::string& path, bool dry_run = false,
                                     rocksdb::Env* env = nullptr) {
  return tiering::rebuild_manifest(
      {.directory = {.path = path}, .dry_run = dry_run, .manifest_env = env});
}

// A stopped daemon's directory with contexts 1..count of the hybrid layout, and one of the other.
class RebuildTest : public testing::Test {
 protected:
  static constexpr uint64_t kContexts = 3;

  void fill() {
    const auto client = rig_.daemon().connect();
    for (uint64_t context = 1; context <= kContexts; ++context) {
      rig_.commit(*client, context, kTokens);
      ASSERT_TRUE(rig_.settle());  // so that each has slots of its own, in order
    }
    rig_.commit(*client, kAppendContext, kAppendTokens, small_append_layout());
    ASSERT_TRUE(rig_.settle());
  }
  void fill_and_stop() {
    fill();
    rig_.daemon().stop();
  }
  // Replaces the directory by one with a file for each region.
  void make_small_files() {
    rig_.daemon().stop();
    fs::remove_all(path());
    ASSERT_TRUE(tiering::SsdDirectory::open(
                    {.path = path(), .region_bytes = kRegionBytes, .regions_per_file = 1})
                    .ok());
    rig_.daemon().start();
  }
  uint64_t kept_without_data() {
    return rig_.status().kept[static_cast<size_t>(tiering::KeptReason::kNoData)].objects;
  }
  void expect_every_hit() {
    const auto client = rig_.daemon().connect();
    for (uint64_t context = 1; context <= kContexts; ++context) {
      EXPECT_EQ(rig_.hit_tokens(*client, context, kTokens), static_cast<int>(kTokens));
    }
    EXPECT_EQ(rig_.hit_tokens(*client, kAppendContext, kAppendTokens, small_append_layout()),
              static_cast<int>(kAppendTokens));
    EXPECT_EQ(rig_.status().loader.corrupt, 0u);
    rig_.daemon().on_core([](server::Daemon& d) { d.ssd_tier()->check_invariants(); });
  }
  // The daemon serves RAM, and says what is to be done.
  void expect_tier_off(const std::string& reason) {
    const auto client = rig_.daemon().connect();
    bool has_tier = true;
    rig_.daemon().on_core([&](server::Daemon& d) { has_tier = d.tiers() != nullptr; });
    EXPECT_FALSE(has_tier);
    const auto status = client->status_json();
    ASSERT_TRUE(status.ok());
    EXPECT_NE(status->find(reason), std::string::npos) << *status;
    EXPECT_NE(status->find("quirectl rebuild"), std::string::npos) << *status;
    rig_.commit(*client, 99, kTokens);
    EXPECT_EQ(rig_.hit_tokens(*client, 99, kTokens), static_cast<int>(kTokens));
  }
  // Header of slot `index` of region 0, in place.
  ExtentHeader header_at(uint32_t index) const {
    ExtentHeader header;
    std::ifstream file(path() + "/data.000000", std::ios::binary);
    file.seekg(static_cast<std::streamoff>(index * kSsdBlockBytes));
    file.read(reinterpret_cast<char*>(&header), sizeof(header));
    return header;
  }
  void put_header(uint32_t index, const ExtentHeader& header) const {
    std::fstream file(path() + "/data.000000", std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(index * kSsdBlockBytes));
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
    QUIRE_CHECK(file.flush().good());
  }

  std::string path() const { return rig_.ssd_path(); }
  std::string manifest() const { return path() + "/manifest"; }

  SsdRig rig_;
};

ChildRole opens_a_daemon("second-daemon", [](const std::vector<std::string>& arguments) {
  server::Options options = small_options();
  options.ssd_path = arguments[0];
  options.socket_path = arguments[0] + "-second.sock";
  options.ssd_bytes = 64ull << 20;
  options.ssd_region_bytes = kRegionBytes;
  const auto daemon = server::Daemon::create(options);
  report_to_parent(daemon.ok() ? "open" : daemon.error().text);
  return static_cast<int>(daemon.code());
});

}  // namespace

TEST_F(RebuildTest, LostManifestIsMadeAnewAndEveryHitComesBack) {
  fill_and_stop();
  rig_.daemon().start();
  const tiering::RestoreReport before = rig_.status().restored;
  rig_.daemon().stop();
  fs::remove_all(manifest());
  const std::string data = read_bytes(path() + "/data.000000");

  rig_.daemon().start();
  expect_tier_off("has data but no manifest");
  rig_.daemon().stop();
  EXPECT_FALSE(fs::exists(manifest()));
  EXPECT_TRUE(read_bytes(path() + "/data.000000") == data);

  const auto report = rebuild(path());
  ASSERT_TRUE(report.ok()) << report.error().text;
  EXPECT_EQ(report->spans, kContexts * kSpans + 25);
  EXPECT_EQ(report->checkpoints, kContexts);
  EXPECT_LE(report->runs, before.runs);  // those of two transfers in a row are one
  EXPECT_GE(report->runs, report->spans / 16 + report->checkpoints);
  EXPECT_EQ(report->roots, 2u);
  EXPECT_EQ(report->headers, report->spans + report->checkpoints);
  EXPECT_EQ(report->damaged + report->foreign + report->misplaced + report->left_over, 0u);
  EXPECT_EQ(report->older_copies + report->orphans + report->misfits + report->stale, 0u);
  EXPECT_TRUE(read_bytes(path() + "/data.000000") == data);

  rig_.daemon().start();
  const tiering::RestoreReport after = rig_.status().restored;
  for (const tiering::KeptCount& kept : after.kept) EXPECT_EQ(kept.objects, 0u);
  EXPECT_EQ(after.spans, report->spans);
  EXPECT_EQ(after.checkpoints, report->checkpoints);
  EXPECT_EQ(after.runs, report->runs);
  EXPECT_EQ(after.orphans + after.rejected, 0u);
  expect_every_hit();
}

TEST_F(RebuildTest, RebuildingAgainChangesNoRecord) {
  fill_and_stop();
  ASSERT_TRUE(rebuild(path()).ok());
  const ManifestText once = text_at({.path = manifest()});
  ASSERT_TRUE(rebuild(path()).ok());
  EXPECT_EQ(text_at({.path = manifest()}), once);
  EXPECT_FALSE(fs::exists(manifest() + ".new"));
  EXPECT_FALSE(fs::exists(manifest() + ".old"));
  rig_.daemon().start();
  expect_every_hit();
}

TEST_F(RebuildTest, DryRunTellsTheSameAndChangesNothing) {
  fill_and_stop();
  fs::remove_all(manifest());
  for (const bool has_lock : {true, false}) {
    if (!has_lock) fs::remove(path() + "/lock");
    const auto before = contents_of(path());
    const auto report = rebuild(path(), true);
    ASSERT_TRUE(report.ok()) << report.error().text;
    EXPECT_EQ(report->spans, kContexts * kSpans + 25);
    EXPECT_EQ(report->checkpoints, kContexts);
    EXPECT_TRUE(contents_of(path()) == before);
  }
  EXPECT_EQ(rebuild(path() + "-mistyped", true).code(), Errc::kNotFound);
  EXPECT_EQ(rebuild(path() + "-mistyped").code(), Errc::kNotFound);
  EXPECT_FALSE(fs::exists(path() + "-mistyped"));
  rig_.daemon().start();
}

TEST_F(RebuildTest, Law08_RolledBackManifestGivesMissesAndNoWrongByte) {
  fill_and_stop();
  fs::copy(manifest(), path() + "-kept", fs::copy_options::recursive);
  rig_.daemon().start();
  rig_.daemon().on_core([](server::Daemon& d) {
    meddle(d).evict();
    meddle(d).empty_ssd();
  });
  ASSERT_TRUE(rig_.daemon().eventually([](server::Daemon& d) {
    const auto space = ssd_status(d).space;
    return space.used_slots == 0 && space.freeing_slots == 0;
  }));
  {
    const auto client = rig_.daemon().connect();
    rig_.commit(*client, 11, kTokens);  // into the slots of context 1
    ASSERT_TRUE(rig_.settle());
  }
  rig_.daemon().stop();
  fs::remove_all(manifest());
  fs::rename(path() + "-kept", manifest());

  rig_.daemon().start();
  EXPECT_EQ(rig_.status().restored.spans, kContexts * kSpans + 25);
  const auto client = rig_.daemon().connect();
  EXPECT_EQ(loaded_tokens(*client, 1, kTokens), 0);
  EXPECT_GT(rig_.status().loader.corrupt, 0u);
  EXPECT_EQ(loaded_tokens(*client, 11, kTokens), 0);
  for (uint64_t context = 2; context <= kContexts; ++context) {
    EXPECT_GE(loaded_tokens(*client, context, kTokens), 0);
  }
  EXPECT_EQ(rig_.status().state, tiering::TierMode::kReadOnly) << "it knows that it lost changes";
  EXPECT_NE(rig_.status().action.find("quirectl rebuild"), std::string::npos);
  // A rebuild has what is really there: the new context, and of the others what was not written to.
  rig_.daemon().stop();
  ASSERT_TRUE(rebuild(path()).ok());
  rig_.daemon().start();
  const auto again = rig_.daemon().connect();
  EXPECT_EQ(rig_.hit_tokens(*again, 11, kTokens), static_cast<int>(kTokens));
  EXPECT_EQ(rig_.hit_tokens(*again, 1, kTokens), 0);
  EXPECT_EQ(rig_.hit_tokens(*again, 3, kTokens), static_cast<int>(kTokens));
  EXPECT_EQ(rig_.status().loader.corrupt, 0u);
}

TEST_F(RebuildTest, LostDataFileKeepsItsObjectsForWhenItIsBack) {
  make_small_files();
  fill_and_stop();
  // Slots of one size share a region: the append layout has its own, the last made.
  const std::string name = path() + "/data.000003";
  ASSERT_TRUE(fs::exists(name));
  ASSERT_FALSE(fs::exists(path() + "/data.000004"));
  const auto whole = contents_of(path());
  for (const bool truncated : {true, false}) {
    if (truncated) fs::resize_file(name, kRegionBytes - kSsdBlockBytes);
    if (!truncated) fs::remove(name);
    rig_.daemon().start();
    EXPECT_EQ(kept_without_data(), 25u);
    EXPECT_EQ(rig_.status().restored.spans, kContexts * kSpans);
    const auto client = rig_.daemon().connect();
    EXPECT_EQ(rig_.hit_tokens(*client, kAppendContext, kAppendTokens, small_append_layout()), 0);
    for (uint64_t context = 1; context <= kContexts; ++context) {
      EXPECT_EQ(rig_.hit_tokens(*client, context, kTokens), static_cast<int>(kTokens));
    }
    rig_.daemon().stop();
    // The manifest has not forgotten them.
    rig_.daemon().start();
    EXPECT_EQ(kept_without_data(), 25u);
    EXPECT_EQ(rig_.status().restored.spans, kContexts * kSpans);
    rig_.daemon().stop();
    for (const auto& [file, bytes] : whole) {
      if (bytes != "(directory)" && file.starts_with("data."))
        write_bytes(path() + "/" + file, bytes);
    }
    rig_.daemon().start();
    EXPECT_EQ(kept_without_data(), 0u);
    expect_every_hit();
    rig_.daemon().stop();
    ASSERT_TRUE(rebuild(path()).ok());
  }
  rig_.daemon().start();
  expect_every_hit();
}

TEST_F(RebuildTest, Law08_TwoRunsOnOneSlotAreCorruptUntilRebuilt) {
  fill_and_stop();
  {
    const auto opened = tiering::Manifest::open({.path = manifest()});
    ASSERT_TRUE(opened.ok());
    tiering::RunRecord forged;
    ASSERT_TRUE((*opened)
                    ->read_runs([&](const tiering::RunRecord& run) {
                      forged = run;
                      return run.key.kind != 2;  // any run of spans
                    })
                    .ok());
    ASSERT_EQ(forged.key.kind, 2);
    forged.key.units += forged.unit_step;
    tiering::ManifestBatch batch;
    batch.put_run(forged);
    ASSERT_TRUE(write(**opened, std::move(batch)).ok());
  }
  rig_.daemon().start();
  expect_tier_off("slot");
  rig_.daemon().stop();
  ASSERT_TRUE(rebuild(path()).ok());
  rig_.daemon().start();
  expect_every_hit();
}

TEST_F(RebuildTest, HeaderThatLiesIsSkippedWithWhatHangsOnIt) {
  fill_and_stop();
  ExtentHeader damaged = header_at(10);
  damaged.owner_tag ^= 1;  // not sealed again
  ExtentHeader foreign = header_at(20);
  foreign.instance[0] ^= 1;
  seal(foreign);
  ExtentHeader without_name = header_at(30);
  without_name.tenant.fill('x');
  seal(without_name);
  put_header(10, damaged);
  put_header(20, foreign);
  put_header(30, without_name);
  put_header(40, header_at(41));  // misplaced
  put_header(45, ExtentHeader{.magic = 0});
  const auto report = rebuild(path());
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->damaged, 2u);
  EXPECT_EQ(report->foreign, 1u);
  EXPECT_EQ(report->misplaced, 1u);
  EXPECT_EQ(report->headers, kContexts * (kSpans + 1) + 25 - 5);
  // Context 1 lies in slots 0..49: spans 0..9 hang together, and its checkpoint hangs on the last.
  const uint64_t lost = kSpans - 10 - 5 + 1;
  EXPECT_EQ(report->orphans, lost);
  EXPECT_EQ(report->spans, kContexts * kSpans + 25 - 5 - (lost - 1));
  rig_.daemon().start();
  EXPECT_EQ(rig_.status().restored.orphans, 0u);
  const auto client = rig_.daemon().connect();
  EXPECT_EQ(rig_.hit_tokens(*client, 1, kTokens), 0);  // no checkpoint, nothing to resume from
  EXPECT_EQ(rig_.hit_tokens(*client, 2, kTokens), static_cast<int>(kTokens));
  EXPECT_EQ(rig_.hit_tokens(*client, 3, kTokens), static_cast<int>(kTokens));
}

TEST_F(RebuildTest, LatestCopyOfAKeyWinsAndEarlierSlotSizesAreLeftOver) {
  make_small_files();
  fill_and_stop();
  // The last slots of region 3 are free. One says it is an earlier copy of the region's first
  // object, one that it is of the time when the region had larger slots.
  std::fstream file(path() + "/data.000003", std::ios::binary | std::ios::in | std::ios::out);
  ExtentHeader first;
  file.read(reinterpret_cast<char*>(&first), sizeof(first));
  const auto put = [&](uint32_t index, const std::function<void(ExtentHeader&)>& change) {
    ExtentHeader header = first;
    header.slot = tiering::SsdSlot::of(3, index).value;
    --header.generation;
    change(header);
    seal(header);
    file.seekp(static_cast<std::streamoff>(index * kSsdBlockBytes));
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
  };
  put(100, [](ExtentHeader&) {});
  put(50, [](ExtentHeader& header) { header.pages[0].stored_bytes = 3 * kSsdBlockBytes; });
  // And one stands where no span of its layout ends.
  put(101, [](ExtentHeader& header) {
    header.key.bytes[0] ^= 1;
    header.units += 1;
  });
  ASSERT_TRUE(file.flush().good());
  const auto report = rebuild(path());
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->older_copies, 1u);
  EXPECT_EQ(report->left_over, 1u);
  EXPECT_EQ(report->misfits, 1u);
  EXPECT_EQ(report->spans, kContexts * kSpans + 25);
  rig_.daemon().start();
  expect_every_hit();
}

TEST_F(RebuildTest, StaleEpochsAndLostLayoutsAreLeftOut) {
  fill();
  {
    // The namespace moves on with an object of another layout: all of the hybrid one is stale.
    const auto client = rig_.daemon().connect();
    auto options = session_options(small_append_layout());
    options.weights_epoch = 7;
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(kAppendTokens + 1, 60)).ok());
    ASSERT_TRUE(commit_context(*session, kAppendTokens + 1).ok());
    ASSERT_TRUE(rig_.settle());
  }
  rig_.daemon().stop();
  fs::remove_all(manifest());
  const auto report = rebuild(path());
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->spans, 25u);
  EXPECT_EQ(report->checkpoints, 0u);
  EXPECT_EQ(report->roots, 1u);
  EXPECT_GE(report->stale, kContexts * (kSpans + 1) + 25 - 64);  // some slots were used again
  rig_.daemon().start();
  EXPECT_EQ(rig_.status().restored.stale, 0u);
  {
    // Of the earlier epoch nobody may open a session any more.
    const auto client = rig_.daemon().connect();
    EXPECT_FALSE(client->open_session(session_options(small_append_layout())).ok());
  }
  rig_.daemon().stop();
  fs::remove_all(path() + "/layouts");
  const auto without = rebuild(path());
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(without->without_layout, 25u);
  EXPECT_EQ(without->spans, 0u);
  rig_.daemon().start();
}

// What a kill leaves between two steps of the replacement.
TEST_F(RebuildTest, Law08_RebuildCutShortLeavesTheOldManifestOrNone) {
  fill_and_stop();
  const std::string fresh = manifest() + ".new";
  const std::string old = manifest() + ".old";
  // While the new one is written, half of it there.
  fs::copy(manifest(), fresh, fs::copy_options::recursive);
  fs::remove(fresh + "/CURRENT");
  rig_.daemon().start();
  expect_every_hit();
  rig_.daemon().stop();
  // Between the renames.
  fs::rename(manifest(), old);
  rig_.daemon().start();
  expect_tier_off("has data but no manifest");
  rig_.daemon().stop();
  ASSERT_TRUE(rebuild(path()).ok());
  EXPECT_FALSE(fs::exists(fresh));
  EXPECT_FALSE(fs::exists(old));
  // Before the old one was removed.
  fs::copy(manifest(), old, fs::copy_options::recursive);
  rig_.daemon().start();
  expect_every_hit();
  rig_.daemon().stop();
  ASSERT_TRUE(rebuild(path()).ok());
  EXPECT_FALSE(fs::exists(old));
  rig_.daemon().start();
}

TEST_F(RebuildTest, EpochOfTheOldManifestIsKeptBetweenTheRenamesToo) {
  fill_and_stop();
  {
    const auto opened = tiering::Manifest::open({.path = manifest()});
    tiering::ManifestBatch batch;
    batch.put_epoch("another domain", "model", 41);
    ASSERT_TRUE(write(**opened, std::move(batch)).ok());
  }
  const auto has_epoch = [&] {
    for (const std::string& line : text_at({.path = manifest()})) {
      if (line.find("another domain") != std::string::npos) return true;
    }
    return false;
  };
  ASSERT_TRUE(rebuild(path()).ok());
  EXPECT_TRUE(has_epoch());
  fs::rename(manifest(), manifest() + ".old");
  ASSERT_TRUE(rebuild(path()).ok());
  EXPECT_TRUE(has_epoch());
  rig_.daemon().start();
}

TEST_F(RebuildTest, Law09_FailedRebuildLeavesTheOldManifest) {
  fill_and_stop();
  const ManifestText before = text_at({.path = manifest()});
  FaultyFileSystem file_system;
  file_system.skip_device_syncs();
  uint64_t failed = 0;
  for (uint64_t nth = 1;; nth += 2) {
    file_system.fail_change(nth, ENOSPC, true);
    const auto report = rebuild(path(), false, file_system.env());
    if (file_system.failures() == 0) {
      ASSERT_TRUE(report.ok());
      break;
    }
    file_system.lift();
    if (report.ok()) continue;  // the failure was of no consequence, on closing
    ++failed;
    EXPECT_EQ(report.code(), Errc::kResourceExhausted) << nth << ": " << report.error().text;
    ASSERT_EQ(text_at({.path = manifest(), .read_only = true}), before) << nth;
  }
  EXPECT_GT(failed, 5u);
  rig_.daemon().start();
  expect_every_hit();
}

TEST_F(RebuildTest, Law08_SecondDaemonAndRebuildAreRefusedWhileOneLives) {
  fill();
  server::Options options = rig_.daemon().options();
  options.socket_path += ".second";
  const auto second = server::Daemon::create(options);
  ASSERT_EQ(second.code(), Errc::kBusy);
  EXPECT_NE(second.error().text.find("pid " + std::to_string(::getpid())), std::string::npos)
      << second.error().text;
  ChildProcess child("second-daemon", {path()});
  const std::string refusal = child.next_line();
  EXPECT_NE(refusal.find("pid " + std::to_string(::getpid())), std::string::npos) << refusal;
  EXPECT_EQ(child.wait(), static_cast<int>(Errc::kBusy));
  for (const bool dry_run : {true, false}) {
    EXPECT_EQ(rebuild(path(), dry_run).code(), Errc::kBusy);
  }
  rig_.empty_ram();
  expect_every_hit();
}

}  // namespace quire::tests::ssd_rebuild_test
