#include "client/segment_map.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <set>

namespace quire::client::segment_map_test {
namespace {

using model::Errc;
using model::FdGuard;
using model::Mapping;

constexpr int kAllSeals = F_SEAL_SHRINK | F_SEAL_GROW | 0x10;  // future writes

FdGuard memfd_with(int seals) {
  FdGuard fd(::memfd_create("segment", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  QUIRE_CHECK(::ftruncate(fd.get(), 8192) == 0);
  QUIRE_CHECK(::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
  return fd;
}

Mapping mapping() {
  return SegmentMap::map_sealed(memfd_with(kAllSeals).get(), {1, 12, 8192}, false).value();
}

TEST(SegmentMap, MapsASealedSegment) {
  const FdGuard fd = memfd_with(kAllSeals);
  EXPECT_TRUE(SegmentMap::map_sealed(fd.get(), {1, 12, 8192}, true).ok());
}

TEST(SegmentMap, RefusesASegmentSmallerThanAnnounced) {
  const FdGuard fd = memfd_with(kAllSeals);
  EXPECT_EQ(SegmentMap::map_sealed(fd.get(), {1, 12, 8193}, false).code(), Errc::kCorrupt);
}

TEST(SegmentMap, RefusesASegmentWithAnySealMissing) {
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, 0x10}) {
    const FdGuard fd = memfd_with(kAllSeals & ~missing);
    EXPECT_EQ(SegmentMap::map_sealed(fd.get(), {1, 12, 8192}, false).code(), Errc::kCorrupt);
  }
}

TEST(SegmentMap, RefusesADescriptorThatIsNoMemfd) {
  const FdGuard fd(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(SegmentMap::map_sealed(fd.get(), {1, 12, 4096}, false).code(), Errc::kCorrupt);
}

TEST(SegmentMap, UnusedSegmentIsUnmappedWhenRetired) {
  SegmentMap map;
  ASSERT_TRUE(map.insert(1, mapping()).ok());
  EXPECT_EQ(map.mapped_bytes(), 8192u);
  map.retire(1);
  EXPECT_EQ(map.mapped_bytes(), 0u);
  EXPECT_EQ(map.take_unmapped(), std::vector<uint32_t>{1});
  EXPECT_TRUE(map.take_unmapped().empty());
}

TEST(SegmentMap, SegmentInUseStaysUntilItsLastUser) {
  SegmentMap map;
  ASSERT_TRUE(map.insert(1, mapping()).ok());
  const auto view = map.acquire(1);
  ASSERT_TRUE(map.acquire(1).has_value());
  map.retire(1);
  const uint32_t ids[] = {1};
  map.release(ids);
  EXPECT_TRUE(map.take_unmapped().empty());
  EXPECT_EQ(view->data[8191], std::byte{0});  // still readable
  map.release(ids);
  EXPECT_EQ(map.take_unmapped(), std::vector<uint32_t>{1});
  EXPECT_FALSE(map.acquire(1).has_value());
}

TEST(SegmentMap, RetiringWhatWasNeverMappedIsAcknowledged) {
  SegmentMap map;
  map.retire(9);
  EXPECT_EQ(map.take_unmapped(), std::vector<uint32_t>{9});
}

// Registers what it hears of, as an engine does with its device.
class Registry final : public SegmentObserver {
 public:
  void mapped(const SegmentMemory& memory) override {
    EXPECT_EQ(memory.daemon_epoch, 5u);
    EXPECT_TRUE(live.insert(memory.data).second);
    EXPECT_EQ(memory.data[0], std::byte{0}) << "it is there";
    last = memory;
  }
  void unmapping(const SegmentMemory& memory) override {
    EXPECT_EQ(live.erase(memory.data), 1u);
    EXPECT_EQ(memory.data[memory.bytes - 1], std::byte{0}) << "it is there still";
  }
  std::set<const std::byte*> live;
  SegmentMemory last;
};

TEST(SegmentMap, ObserverHearsOfEachMappingOnceAndBeforeItGoes) {
  Registry registry;
  {
    SegmentMap map(&registry);
    map.set_epoch(5);
    ASSERT_TRUE(map.insert(1, mapping()).ok());
    EXPECT_EQ(registry.last.segment, 1u);
    EXPECT_EQ(registry.last.bytes, 8192u);
    EXPECT_EQ(registry.live.count(map.acquire(1)->data), 1u);
    ASSERT_TRUE(map.insert(1, mapping()).ok());
    EXPECT_EQ(registry.live.size(), 1u) << "the second mapping went at once";
    ASSERT_TRUE(map.insert(2, mapping()).ok());
    map.retire(2);
    EXPECT_EQ(registry.live.size(), 1u);
    map.retire(1);
    EXPECT_EQ(registry.live.size(), 1u) << "it has a user";
    const uint32_t used = 1;
    map.release({&used, 1});
    EXPECT_TRUE(registry.live.empty());
    map.retire(9);  // never mapped
    ASSERT_TRUE(map.insert(3, mapping()).ok());
    EXPECT_EQ(registry.live.size(), 1u);
  }
  EXPECT_TRUE(registry.live.empty()) << "the rest goes with the map";
}

TEST(SegmentMap, AForkedChildTellsNobody) {
  Registry registry;
  {
    SegmentMap map(&registry);
    map.set_epoch(5);
    ASSERT_TRUE(map.insert(1, mapping()).ok());
    map.forget_observer();
  }
  EXPECT_EQ(registry.live.size(), 1u);
}

TEST(SegmentMap, SecondMappingOfASegmentIsDropped) {
  SegmentMap map;
  ASSERT_TRUE(map.insert(1, mapping()).ok());
  const auto first = map.acquire(1);
  ASSERT_TRUE(map.insert(1, mapping()).ok());
  EXPECT_EQ(map.acquire(1)->data, first->data);
  EXPECT_EQ(map.mapped_bytes(), 8192u);
}

}  // namespace
}  // namespace quire::client::segment_map_test
