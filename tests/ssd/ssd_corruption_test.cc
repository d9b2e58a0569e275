// What lies on the device is not what was written there (law 4): found when it is loaded or
// scrubbed, a miss from then on, and nothing else suffers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/ssd/file_damage.h"
#include "tests/ssd/ssd_faults.h"

namespace quire::tests::ssd_corruption_test {

using model::Errc;
using model::FillKind;
using tiering::ExtentHeader;
using tiering::kSsdBlockBytes;

namespace {

constexpr uint32_t kTokens = 160;  // 40 spans of 4 tokens
constexpr uint32_t kBad = 20;      // the span that is damaged
constexpr uint32_t kOther = 30;    // another one

bool whole(const Hit& hit) {
  return hit.announced_tokens == kTokens && hit.code == Errc::kOk && hit.wrong.empty();
}

// The blocks of one object in a data file.
struct Extent {
  std::string path;
  uint64_t header = 0;
  uint64_t data = 0;
  uint64_t bytes = 0;
};

// Right in everything but its generation, as an earlier life of the same object in the same place.
void make_stale(const Extent& extent) {
  ExtentHeader header;
  read_at(extent.path, extent.header, std::as_writable_bytes(std::span(&header, 1)));
  QUIRE_CHECK(check(header).ok());
  --header.generation;
  seal(header);
  write_at(extent.path, extent.header, std::as_bytes(std::span(&header, 1)));
}

struct Damage {
  const char* name;
  void (*act)(const Extent& bad, const Extent& other);
};

const Damage kDamages[] = {
    {"FlippedBitInAPage",
     [](const Extent& bad, const Extent&) { flip_at(bad.path, bad.data + 77); }},
    {"FlippedBitInAHeader",
     [](const Extent& bad, const Extent&) { flip_at(bad.path, bad.header + 100); }},
    {"ZeroedPage", [](const Extent& bad, const Extent&) { zero_at(bad.path, bad.data); }},
    {"ZeroedHeader", [](const Extent& bad, const Extent&) { zero_at(bad.path, bad.header); }},
    {"SwappedPages",
     [](const Extent& bad, const Extent& other) {
       swap_at(bad.path, bad.data, other.path, other.data);
     }},
    {"SwappedHeaders",
     [](const Extent& bad, const Extent& other) {
       swap_at(bad.path, bad.header, other.path, other.header);
     }},
    {"SwappedExtents",
     [](const Extent& bad, const Extent& other) {
       swap_at(bad.path, bad.header, other.path, other.header);
       swap_at(bad.path, bad.data, other.path, other.data);
     }},
    {"StaleGeneration", [](const Extent& bad, const Extent&) { make_stale(bad); }},
};

// Two contexts of the append layout, on the device.
class CorruptSsd {
 public:
  explicit CorruptSsd(bool empty_ram = true)
      : rig_({}, memory_.use()), client_(connect_lazily(rig_.daemon())) {
    commit(1);
    commit(2);
    QUIRE_CHECK(rig_.settle());
    if (empty_ram) rig_.empty_ram();
  }

  SsdRig& rig() { return rig_; }
  void commit(uint64_t context) { rig_.commit(*client_, context, kTokens, small_append_layout()); }
  Hit hit(uint64_t context) {
    return try_hit(rig_, *client_, context, kTokens, small_append_layout());
  }
  Extent extent(uint32_t span) {
    const auto session = rig_.session(*client_, 1, kTokens, small_append_layout());
    Extent extent;
    rig_.daemon().on_core([&](server::Daemon& daemon) {
      const model::NodeId node = find_node(daemon, *session, FillKind::kSpan, (span + 1) * 4);
      const tiering::SsdSlot slot{inspect(daemon).ssd_copy(node)->slot};
      extent = place(slot);
    });
    return extent;
  }
  void restart() {
    client_.reset();
    rig_.daemon().restart();
    client_ = connect_lazily(rig_.daemon());
  }
  void stop() {
    client_.reset();
    rig_.daemon().stop();
  }
  void start() {
    rig_.daemon().start();
    client_ = connect_lazily(rig_.daemon());
  }

 private:
  Extent place(tiering::SsdSlot slot) const {
    tiering::Superblock superblock;
    read_at(memory_.ssd_path() + "/superblock", 0,
            std::as_writable_bytes(std::span(&superblock, 1)));
    const uint64_t bytes = 4096;  // of an object: one page
    const auto geometry = tiering::region_geometry(superblock.region_bytes, bytes);
    const uint64_t region = slot.region() % superblock.regions_per_file * superblock.region_bytes;
    char name[32];
    std::snprintf(name, sizeof(name), "/data.%06u",
                  static_cast<unsigned>(slot.region() / superblock.regions_per_file));
    return {.path = memory_.ssd_path() + name,
            .header = region + slot.index() * kSsdBlockBytes,
            .data = region + geometry.slots_offset + slot.index() * bytes,
            .bytes = bytes};
  }

  MemoryDirectory memory_;
  SsdRig rig_;
  std::unique_ptr<client::Client> client_;
};

void expect_found_by_load(CorruptSsd& ssd) {
  const Hit hit = ssd.hit(1);
  EXPECT_EQ(hit.announced_tokens, kTokens);
  EXPECT_EQ(hit.code, Errc::kCorrupt);
  EXPECT_EQ(hit.blocks, kBad);
  EXPECT_EQ(hit.wrong, "");
  EXPECT_GT(ssd.rig().status().loader.corrupt, 0u);
  EXPECT_GT(ssd.rig().counters().quarantined, 0u);
  // What is left of it is a hit as before.
  const Hit again = ssd.hit(1);
  EXPECT_EQ(again.announced_tokens, kBad * 4);
  EXPECT_EQ(again.code, Errc::kOk);
  EXPECT_EQ(again.wrong, "");
  EXPECT_TRUE(whole(ssd.hit(2)));
  EXPECT_EQ(audit(ssd.rig()), "");
  ssd.commit(1);
  EXPECT_TRUE(whole(ssd.hit(1)));
}

class SsdCorruption : public testing::TestWithParam<Damage> {};

}  // namespace

TEST_P(SsdCorruption, Law04_IsFoundByTheLoadThatMeetsIt) {
  CorruptSsd ssd;
  GetParam().act(ssd.extent(kBad), ssd.extent(kOther));
  expect_found_by_load(ssd);
}

TEST_P(SsdCorruption, Law04_IsFoundAfterARestart) {
  CorruptSsd ssd;
  const Extent bad = ssd.extent(kBad);
  const Extent other = ssd.extent(kOther);
  ssd.stop();
  GetParam().act(bad, other);
  ssd.start();
  expect_found_by_load(ssd);
}

TEST_P(SsdCorruption, Law04_IsFoundByAScrubWithoutTraffic) {
  CorruptSsd ssd;
  GetParam().act(ssd.extent(kBad), ssd.extent(kOther));
  ssd.rig().daemon().on_core(
      [](server::Daemon& daemon) { daemon.ssd_tier()->upkeep()->start_scrub(0); });
  ASSERT_TRUE(ssd.rig().daemon().eventually([](server::Daemon& daemon) {
    return ssd_status(daemon).scrub.passes == 1 && daemon.tiers()->idle();
  }));
  EXPECT_GE(ssd.rig().status().scrub.bad, 1u);
  EXPECT_EQ(ssd.rig().status().loader.started, 0u);
  const Hit hit = ssd.hit(1);
  EXPECT_EQ(hit.announced_tokens, kBad * 4);
  EXPECT_EQ(hit.code, Errc::kOk);
  EXPECT_EQ(hit.wrong, "");
  EXPECT_TRUE(whole(ssd.hit(2)));
  EXPECT_EQ(audit(ssd.rig()), "");
}

// The page is in RAM: nothing is lost, the copy is written again.
TEST_P(SsdCorruption, Law04_ScrubWritesABadCopyOfAResidentPageAgain) {
  CorruptSsd ssd(/*empty_ram=*/false);
  GetParam().act(ssd.extent(kBad), ssd.extent(kOther));
  ssd.rig().daemon().on_core(
      [](server::Daemon& daemon) { daemon.ssd_tier()->upkeep()->start_scrub(0); });
  ASSERT_TRUE(ssd.rig().daemon().eventually(
      [](server::Daemon& daemon) { return ssd_status(daemon).scrub.passes == 1; }));
  EXPECT_GE(ssd.rig().status().scrub.bad, 1u);
  EXPECT_EQ(ssd.rig().counters().quarantined, 0u);
  ASSERT_TRUE(ssd.rig().settle());
  EXPECT_EQ(audit(ssd.rig()), "");
  ssd.rig().empty_ram();
  EXPECT_TRUE(whole(ssd.hit(1)));
  EXPECT_TRUE(whole(ssd.hit(2)));
  ssd.restart();
  EXPECT_TRUE(whole(ssd.hit(1)));
  EXPECT_TRUE(whole(ssd.hit(2)));
  EXPECT_EQ(ssd.rig().status().restored.orphans, 0u);
  EXPECT_EQ(audit(ssd.rig()), "");
}

INSTANTIATE_TEST_SUITE_P(Damage, SsdCorruption, testing::ValuesIn(kDamages),
                         [](const auto& damage) { return std::string(damage.param.name); });

TEST(SsdTruncation, Law04_TruncatedDataFileIsAMissNeverWrongBytes) {
  for (const bool stopped : {false, true}) {
    SCOPED_TRACE(stopped);
    CorruptSsd ssd;
    const Extent bad = ssd.extent(kBad);
    if (stopped) ssd.stop();
    ASSERT_EQ(::truncate(bad.path.c_str(), static_cast<off_t>(bad.data)), 0);
    if (stopped) ssd.start();
    const Hit hit = ssd.hit(1);
    EXPECT_EQ(hit.wrong, "");
    EXPECT_LE(hit.blocks, kBad);
    EXPECT_EQ(ssd.hit(2).wrong, "");
    EXPECT_EQ(audit(ssd.rig()), "");
    ssd.commit(1);
    EXPECT_TRUE(whole(ssd.hit(1)));
  }
}

// Damaged in RAM before it was demoted: never written, and neither is what depends on it.
TEST(SsdCorruptRam, Law04_CorruptPageIsNeverWritten) {
  SsdRig rig({}, [](server::Options& options) { options.ssd_write_delay_ms = 60'000; });
  {
    const auto client = connect_lazily(rig.daemon());
    rig.commit(*client, 1, kTokens, small_append_layout());
    const auto session = rig.session(*client, 1, kTokens, small_append_layout());
    rig.daemon().on_core([&](server::Daemon& daemon) {
      const model::NodeId node = find_node(daemon, *session, FillKind::kSpan, (kBad + 1) * 4);
      meddle(daemon).corrupt(node, 100);
      daemon.tiers()->hurry();
    });
    ASSERT_TRUE(rig.settle());
    EXPECT_EQ(rig.status().demoter.corrupt_in_ram, 1u);
    EXPECT_EQ(rig.counters().ssd_spans, kBad);
    EXPECT_EQ(try_hit(rig, *client, 1, kTokens, small_append_layout()).announced_tokens, kBad * 4);
    EXPECT_EQ(audit(rig), "");
  }
  rig.daemon().restart();
  const auto client = connect_lazily(rig.daemon());
  const Hit hit = try_hit(rig, *client, 1, kTokens, small_append_layout());
  EXPECT_EQ(hit.announced_tokens, kBad * 4);
  EXPECT_EQ(hit.wrong, "");
}

}  // namespace quire::tests::ssd_corruption_test
