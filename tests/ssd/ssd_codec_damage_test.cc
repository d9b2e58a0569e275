// Encoded objects that are not on the device what they were when they were written (law 4): found
// by the load or the scrub that meets them, never a wrong byte, and nothing else suffers.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

#include "tests/ssd/file_damage.h"
#include "tests/ssd/packed_ssd.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tests::ssd_codec_damage_test {

using model::Errc;
using tiering::ExtentHeader;
using tiering::kSsdBlockBytes;

namespace {

constexpr uint32_t kTokens = 64;  // 8 spans
constexpr uint32_t kBad = 4;      // the span that is damaged
constexpr uint32_t kOther = 6;    // another one, of the same context
constexpr uint64_t kWholeContext = 100;

// Where an object lies in a data file, and its header.
struct Extent {
  std::string path;
  uint64_t header_offset = 0;
  uint64_t data_offset = 0;
  ExtentHeader header;
};

void swap_headers(const Extent& a, const Extent& b) {
  swap_at(a.path, a.header_offset, b.path, b.header_offset);
}
void swap_slots(const Extent& a, const Extent& b) {
  swap_at(a.path, a.data_offset, b.path, b.data_offset, a.header.slot_bytes);
}

// A header that lies and checks.
void lie(const Extent& extent, const std::function<void(ExtentHeader&)>& change) {
  ExtentHeader header = extent.header;
  change(header);
  seal(header);
  write_at(extent.path, extent.header_offset, std::as_bytes(std::span(&header, 1)));
}

// Page 0 is encoded, page 1 kept.
uint64_t kept_offset(const Extent& extent) {
  return extent.data_offset + tiering::whole_blocks(extent.header.pages[0].stored_bytes);
}

struct Damage {
  const char* name;
  void (*act)(const Extent& bad, const Extent& other);
};

const Damage kDamages[] = {
    {"flipped bit in the first byte",
     [](const Extent& bad, const Extent&) { flip_at(bad.path, bad.data_offset); }},
    {"flipped bit in an encoded page",
     [](const Extent& bad, const Extent&) { flip_at(bad.path, bad.data_offset + 9'000); }},
    {"flipped bit at the end of an encoded page",
     [](const Extent& bad, const Extent&) {
       flip_at(bad.path, bad.data_offset + bad.header.pages[0].stored_bytes - 1);
     }},
    {"flipped bit in a kept page",
     [](const Extent& bad, const Extent&) { flip_at(bad.path, kept_offset(bad) + 4'999); }},
    {"flipped bit in the header's slot size",
     [](const Extent& bad, const Extent&) {
       flip_at(bad.path, bad.header_offset + offsetof(ExtentHeader, slot_bytes));
     }},
    {"flipped bit in the header's codec",
     [](const Extent& bad, const Extent&) {
       flip_at(bad.path, bad.header_offset + offsetof(ExtentHeader, pages) +
                             offsetof(tiering::StoredPage, codec));
     }},
    {"zeroed block",
     [](const Extent& bad, const Extent&) { zero_at(bad.path, bad.data_offset + 4096); }},
    {"zeroed header",
     [](const Extent& bad, const Extent&) { zero_at(bad.path, bad.header_offset); }},
    {"swapped slots", [](const Extent& bad, const Extent& other) { swap_slots(bad, other); }},
    {"swapped headers", [](const Extent& bad, const Extent& other) { swap_headers(bad, other); }},
    {"swapped extents",
     [](const Extent& bad, const Extent& other) {
       swap_slots(bad, other);
       swap_headers(bad, other);
     }},
    {"stale generation",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { --header.generation; });
     }},
    {"no codec",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.pages[0].codec = 0; });
     }},
    {"unknown codec",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.pages[0].codec = 2; });
     }},
    {"other elements",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.pages[0].element_bytes = 4; });
     }},
    {"elements of three",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.pages[0].element_bytes = 3; });
     }},
    {"shorter",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { --header.pages[0].stored_bytes; });
     }},
    {"huge",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.pages[0].stored_bytes = ~0ull - 4094; });
     }},
    {"beyond the slot",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.pages[0].stored_bytes = 36'001; });
     }},
    {"other checksum of the stored bytes",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { ++header.pages[0].stored_crc32c; });
     }},
    {"other checksum of the plain bytes",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { ++header.pages[0].plain_crc32c; });
     }},
    {"other checksums of a kept page",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) {
         ++header.pages[1].plain_crc32c;
         ++header.pages[1].stored_crc32c;
       });
     }},
    {"no slot size",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.slot_bytes = 0; });
     }},
    {"larger slot",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { header.slot_bytes += kSsdBlockBytes; });
     }},
    {"a page less",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { --header.page_count; });
     }},
    {"pages in another order",
     [](const Extent& bad, const Extent&) {
       lie(bad, [](ExtentHeader& header) { std::swap(header.pages[0], header.pages[1]); });
     }},
};
constexpr uint64_t kContexts = std::size(kDamages);

// For each damage a context of its own, encoded, and one more.
class SsdCodecDamage : public testing::Test {
 protected:
  SsdCodecDamage() : layout_(small_packing_append_layout()) {}
  void SetUp() override {
    ASSERT_TRUE(packed_.learn(layout_));
    for (uint64_t context = 0; context < kContexts; ++context) {
      ASSERT_TRUE(packed_.put(context, kTokens, layout_));
    }
    ASSERT_TRUE(packed_.commit(kWholeContext, kTokens, layout_));
  }
  SsdRig& rig() { return packed_.rig(); }
  Hit hit(uint64_t context) { return packed_.hit(context, kTokens, layout_); }
  bool is_whole(uint64_t context) { return packed_.is_whole(context, kTokens, layout_); }

  std::vector<std::array<Extent, 2>> find_all() {
    std::vector<std::array<Extent, 2>> all;
    for (uint64_t context = 0; context < kContexts; ++context) {
      all.push_back({find(context, kBad), find(context, kOther)});
      QUIRE_CHECK(all.back()[0].header.slot_bytes == all.back()[1].header.slot_bytes);
    }
    return all;
  }
  void damage(const std::vector<std::array<Extent, 2>>& extents) {
    for (uint64_t i = 0; i < kContexts; ++i) kDamages[i].act(extents[i][0], extents[i][1]);
  }
  void scrub() {
    rig().daemon().on_core(
        [](server::Daemon& daemon) { daemon.ssd_tier()->upkeep()->start_scrub(0); });
    ASSERT_TRUE(rig().daemon().eventually([](server::Daemon& daemon) {
      return ssd_status(daemon).scrub.passes == 1 && daemon.tiers()->idle();
    }));
    EXPECT_GE(rig().status().scrub.bad, kContexts);
  }
  void expect_all_found_by_loads() {
    for (uint64_t context = 0; context < kContexts; ++context) {
      SCOPED_TRACE(kDamages[context].name);
      const Hit first = hit(context);
      EXPECT_EQ(first.announced_tokens, kTokens);
      EXPECT_EQ(first.code, Errc::kCorrupt);
      EXPECT_EQ(first.blocks, kBad);
      EXPECT_EQ(first.wrong, "");
      expect_head_only(context);
    }
    EXPECT_GE(rig().status().loader.corrupt, kContexts);
    EXPECT_GE(rig().counters().quarantined, kContexts);
  }
  void expect_head_only(uint64_t context) {
    const Hit again = hit(context);
    EXPECT_EQ(again.announced_tokens, kBad * 8);
    EXPECT_EQ(again.code, Errc::kOk);
    EXPECT_EQ(again.wrong, "");
  }
  void expect_recovers() {
    EXPECT_TRUE(is_whole(kWholeContext));
    EXPECT_EQ(audit(rig()), "");
    ASSERT_TRUE(packed_.commit(3, kTokens, layout_));
    rig().empty_ram();
    EXPECT_TRUE(is_whole(3));
  }

  const model::Layout layout_;
  PackedSsd packed_;

 private:
  Extent find(uint64_t context, uint32_t span) {
    const auto session = rig().session(packed_.client(), context, kTokens, layout_);
    tiering::SsdSlot slot;
    rig().daemon().on_core([&](server::Daemon& daemon) {
      const model::NodeId node =
          find_node(daemon, *session, model::FillKind::kSpan, (span + 1) * 8);
      slot = {inspect(daemon).ssd_copy(node)->slot};
    });
    tiering::Superblock superblock;
    read_at(packed_.ssd_path() + "/superblock", 0,
            std::as_writable_bytes(std::span(&superblock, 1)));
    char name[32];
    std::snprintf(name, sizeof(name), "/data.%06u",
                  static_cast<unsigned>(slot.region() / superblock.regions_per_file));
    const uint64_t region = slot.region() % superblock.regions_per_file * superblock.region_bytes;
    Extent extent{.path = packed_.ssd_path() + name,
                  .header_offset = region + slot.index() * kSsdBlockBytes};
    read_at(extent.path, extent.header_offset,
            std::as_writable_bytes(std::span(&extent.header, 1)));
    QUIRE_CHECK(check(extent.header).ok() && extent.header.slot_bytes != 0);
    QUIRE_CHECK(extent.header.pages[0].codec != 0 && extent.header.pages[1].codec == 0);
    const auto geometry =
        tiering::region_geometry(superblock.region_bytes, extent.header.slot_bytes);
    extent.data_offset = region + geometry.slots_offset + slot.index() * extent.header.slot_bytes;
    return extent;
  }
};

}  // namespace

TEST_F(SsdCodecDamage, Law04_IsFoundByTheLoadThatMeetsIt) {
  rig().empty_ram();
  damage(find_all());
  expect_all_found_by_loads();
  expect_recovers();
}

TEST_F(SsdCodecDamage, Law04_IsFoundAfterARestart) {
  const auto extents = find_all();
  packed_.stop();
  damage(extents);
  packed_.start();
  expect_all_found_by_loads();
  expect_recovers();
}

TEST_F(SsdCodecDamage, Law04_IsFoundByAScrubWithoutTraffic) {
  rig().empty_ram();
  damage(find_all());
  scrub();
  EXPECT_EQ(rig().status().loader.started, 0u);
  for (uint64_t context = 0; context < kContexts; ++context) {
    SCOPED_TRACE(kDamages[context].name);
    expect_head_only(context);
  }
  expect_recovers();
}

TEST_F(SsdCodecDamage, ScrubOfWhatIsWholeFindsNothing) {
  rig().empty_ram();
  rig().daemon().on_core(
      [](server::Daemon& daemon) { daemon.ssd_tier()->upkeep()->start_scrub(0); });
  ASSERT_TRUE(rig().daemon().eventually([](server::Daemon& daemon) {
    return ssd_status(daemon).scrub.passes == 1 && daemon.tiers()->idle();
  }));
  const tiering::ScrubStatus scrub = rig().status().scrub;
  EXPECT_EQ(scrub.bad + scrub.unreadable, 0u);
  EXPECT_EQ(scrub.objects, (kContexts + 1) * 8 + (PackedSsd::kLearnt + 1) * 2);
}

// The pages are in RAM: nothing is lost, the copies are written again.
TEST_F(SsdCodecDamage, Law04_ScrubWritesBadCopiesOfResidentPagesAgain) {
  damage(find_all());
  scrub();
  EXPECT_EQ(rig().counters().quarantined, 0u);
  ASSERT_TRUE(rig().settle());
  EXPECT_EQ(audit(rig()), "");
  for (const bool restarted : {false, true}) {
    if (restarted) packed_.restart();
    if (!restarted) rig().empty_ram();
    for (uint64_t context = 0; context < kContexts; ++context) {
      EXPECT_TRUE(is_whole(context)) << kDamages[context].name;
    }
    EXPECT_TRUE(is_whole(kWholeContext));
    EXPECT_EQ(rig().status().restored.orphans, 0u);
  }
}

}  // namespace quire::tests::ssd_codec_damage_test
