#include "allocator/pool.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "tests/allocator/pool_fixture.h"

namespace quire::allocator::pool_test {
namespace {

using model::DomainId;
using model::Errc;
using model::SegmentId;
using model::SlotId;

constexpr uint64_t kMiB = 1 << 20;
constexpr DomainId kDomain{0};
constexpr DomainId kOther{1};

class PoolTest : public testing::Test {
 protected:
  ~PoolTest() override { fixture_.pool().check_invariants(); }

  Pool& pool() { return fixture_.pool(); }
  void grow(DomainId domain = kDomain) { ASSERT_EQ(fixture_.grow(domain), Pool::Growth::kGrew); }
  SlotId allocate(ClassId size_class, SlotId after = SlotId{}) {
    const std::optional<SlotId> slot = pool().allocate(size_class, after);
    QUIRE_CHECK(slot.has_value());
    return *slot;
  }
  std::vector<SlotId> fill(ClassId size_class) {
    std::vector<SlotId> slots;
    while (const auto slot = pool().allocate(size_class)) slots.push_back(*slot);
    return slots;
  }
  uint64_t offset(SlotId slot) { return pool().place(slot).offset; }

  PoolFixture fixture_{16 * kMiB, 4};
};

TEST_F(PoolTest, RejectsPagesThatFitNoSegment) {
  EXPECT_EQ(pool().size_class(kDomain, 0).code(), Errc::kInvalidArgument);
  EXPECT_EQ(pool().size_class(kDomain, 16 * kMiB + 1).code(), Errc::kInvalidArgument);
  EXPECT_TRUE(pool().size_class(kDomain, 16 * kMiB).ok());
  EXPECT_EQ(pool().size_class(DomainId{}, 4096).code(), Errc::kBusy);
}

TEST_F(PoolTest, RejectsTablesOfImpossibleSize) {
  EXPECT_EQ(Pool::create(&fixture_.supply(), 15).code(), Errc::kInvalidArgument);
  EXPECT_EQ(Pool::create(&fixture_.supply(), uint64_t{1} << 32).code(), Errc::kInvalidArgument);
}

TEST_F(PoolTest, ClassesAreFoundAgain) {
  const ClassId first = fixture_.size_class(kDomain, 5000);
  EXPECT_NE(fixture_.size_class(kDomain, 5001), first);  // same slot size, another true size
  EXPECT_NE(fixture_.size_class(kOther, 5000), first);
  EXPECT_EQ(fixture_.size_class(kDomain, 5000), first);
  EXPECT_EQ(pool().domain_count(), 2u);
}

TEST_F(PoolTest, ClassesOfADomainAreBoundedAndGoWithIt) {
  constexpr uint64_t kMost = 4096;
  for (uint64_t bytes = 1; bytes <= kMost; ++bytes) {
    ASSERT_TRUE(pool().size_class(kDomain, bytes).ok()) << bytes;
  }
  EXPECT_EQ(pool().size_class(kDomain, kMost + 1).code(), Errc::kBusy);
  EXPECT_TRUE(pool().size_class(kDomain, kMost).ok()) << "one that it has";
  const ClassId other = fixture_.size_class(kOther, kMost + 1);
  pool().forget_classes(kDomain);
  // Its places are used again, and are nobody else's.
  const ClassId anew = fixture_.size_class(kDomain, kMost + 1);
  EXPECT_LT(anew.value, kMost);
  EXPECT_EQ(fixture_.size_class(kOther, kMost + 1), other);
  grow();
  EXPECT_EQ(pool().page_bytes(allocate(anew)), kMost + 1);
}

TEST_F(PoolTest, SlotSizeIsThePageRoundedTo4KiBAndNoMore) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 1'002'240);
  const SlotId first = allocate(size_class);
  const SlotId second = allocate(size_class, first);
  EXPECT_EQ(offset(second) - offset(first), 1'003'520u);
  EXPECT_EQ(pool().page_bytes(first), 1'002'240u);
  EXPECT_EQ(pool().usage(kDomain).slot_bytes, 2 * 1'003'520u);
  EXPECT_EQ(pool().usage(kDomain).page_bytes, 2 * 1'002'240u);
  EXPECT_EQ(fill(size_class).size() + 2, 16 * kMiB / 1'003'520);
}

TEST_F(PoolTest, RestOfASegmentBecomesAShorterChunk) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 70'000);
  EXPECT_EQ(fill(size_class).size(), 16 * kMiB / 73'728);  // 227 = 14 chunks of 16, one of 3
}

TEST_F(PoolTest, GroupsDoNotPayForEachOthersSize) {
  grow();
  const ClassId large = fixture_.size_class(kDomain, 1'002'240);
  const ClassId small = fixture_.size_class(kDomain, 100);
  uint64_t large_count = 0;
  uint64_t small_count = 0;
  for (SlotId after; const auto slot = pool().allocate(large, after); ++large_count) after = *slot;
  for (SlotId after; const auto slot = pool().allocate(small, after); ++small_count) after = *slot;
  EXPECT_EQ(large_count * 1'003'520 + small_count * 4096, 16 * kMiB);
}

TEST_F(PoolTest, AllocatedSlotIsFillingAndBlank) {
  grow();
  const SlotId slot = allocate(fixture_.size_class(kDomain, 4096));
  const PageEntry& entry = pool().page(slot);
  EXPECT_EQ(entry.state(), PageState::kFilling);
  EXPECT_EQ(entry.owner, 0u);
  EXPECT_EQ(entry.next, 0u);
  EXPECT_EQ(entry.generation(), 1u);
}

TEST_F(PoolTest, ReuseRaisesTheGenerationAndClearsTheEntry) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 4096);
  const SlotId slot = allocate(size_class);
  pool().page(slot) = PageEntry{5, 6, 7, pool().page(slot).state_generation};
  pool().page(slot).set_state(PageState::kSealed);
  pool().free(slot);
  EXPECT_EQ(pool().page(slot).state(), PageState::kFree);
  EXPECT_EQ(pool().page(slot).owner, 0u);
  ASSERT_EQ(allocate(size_class), slot);
  EXPECT_EQ(pool().page(slot).generation(), 2u);
  EXPECT_EQ(pool().page(slot).crc32c, 0u);
}

TEST_F(PoolTest, GenerationWrapsWithoutTouchingTheState) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 4096);
  const SlotId slot = allocate(size_class);
  pool().page(slot).state_generation = 0xffffff00u;
  pool().page(slot).set_state(PageState::kSealed);
  pool().free(slot);
  ASSERT_EQ(allocate(size_class), slot);
  EXPECT_EQ(pool().page(slot).generation(), 0u);
  EXPECT_EQ(pool().page(slot).state(), PageState::kFilling);
}

TEST_F(PoolTest, OneSessionLiesInOneRun) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 8192);
  SlotId last = allocate(size_class);
  const uint64_t start = offset(last);
  for (uint64_t count = 1; count < 100; ++count) {
    last = allocate(size_class, last);
    EXPECT_EQ(offset(last), start + count * 8192);
  }
}

TEST_F(PoolTest, InterleavedSessionsKeepRunsOfWholeChunks) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 8192);
  SlotId last[2] = {allocate(size_class), allocate(size_class)};
  int breaks = 0;
  for (int block = 1; block < 64; ++block) {
    for (SlotId& session_last : last) {
      const SlotId next = allocate(size_class, session_last);
      if (offset(next) != offset(session_last) + 8192) ++breaks;
      session_last = next;
    }
  }
  EXPECT_EQ(breaks, 2 * (64 / 16 - 1));
}

TEST_F(PoolTest, NextChunkGoesRightBehindRatherThanToTheFirstHole) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 8192);
  const SlotId hole = allocate(size_class);
  SlotId last = allocate(size_class);
  for (uint32_t count = 1; count < kSlotsPerChunk; ++count) last = allocate(size_class, last);
  const uint64_t end = offset(last) + 8192;
  pool().free(hole);
  EXPECT_EQ(offset(allocate(size_class, last)), end);
}

TEST_F(PoolTest, NextChunkStaysInItsSegmentWhileThereIsRoom) {
  grow();
  grow();
  const ClassId whole_class = fixture_.size_class(kDomain, 16 * kMiB);
  const ClassId size_class = fixture_.size_class(kDomain, 4 * kMiB);  // one slot a chunk
  const SlotId lower_segment = allocate(whole_class);
  const SlotId first = allocate(size_class);
  allocate(size_class, first);  // the room right behind is taken
  pool().free(lower_segment);
  const SlotId next = allocate(size_class, first);
  EXPECT_EQ(pool().place(next).segment, pool().place(first).segment);
}

TEST_F(PoolTest, TakenNeighbourOpensAFreshChunkInTheSameSegment) {
  grow();
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 8192);
  const SlotId first = allocate(size_class);
  allocate(size_class, first);
  const SlotId branch = allocate(size_class, first);  // a second continuation of the same block
  EXPECT_EQ(branch.value % kSlotsPerChunk, 0u);
  EXPECT_NE(branch.value / kSlotsPerChunk, first.value / kSlotsPerChunk);
  EXPECT_EQ(pool().place(branch).segment, pool().place(first).segment);
}

TEST_F(PoolTest, StaleOrForeignHintsAreNoHints) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 8192);
  const ClassId other_class = fixture_.size_class(kDomain, 4096);
  const SlotId foreign = allocate(other_class);
  EXPECT_EQ(pool().page_bytes(allocate(size_class, foreign)), 8192u);
  const SlotId gone = allocate(size_class);
  pool().free(gone);
  allocate(size_class, gone);
  allocate(size_class, SlotId{PoolFixture::kMaxSlots + 5});
  EXPECT_EQ(pool().usage(kDomain).slots, 4u);
}

TEST_F(PoolTest, ChunkTakesAtMostAQuarterOfASegment) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 2 * kMiB);
  SlotId last = allocate(size_class);
  EXPECT_EQ(allocate(size_class, last).value, last.value + 1);  // 2 x 2 MiB = a quarter
  EXPECT_EQ(allocate(size_class, SlotId{last.value + 1}).value % kSlotsPerChunk, 0u);
  EXPECT_EQ(fill(size_class).size(), 5u);
}

TEST_F(PoolTest, PageAsLargeAsTheSegmentTakesItWhole) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 16 * kMiB);
  const SlotId slot = allocate(size_class);
  EXPECT_EQ(pool().allocate(size_class), std::nullopt);
  pool().free(slot);
  EXPECT_EQ(offset(allocate(size_class)), 0u);
}

TEST_F(PoolTest, FreedChunksGrowTogetherForAnotherClass) {
  grow();
  const ClassId small = fixture_.size_class(kDomain, 4096);
  const ClassId large = fixture_.size_class(kDomain, 16 * kMiB);
  const std::vector<SlotId> slots = fill(small);
  ASSERT_EQ(slots.size(), 16 * kMiB / 4096);
  EXPECT_EQ(pool().allocate(large), std::nullopt);
  for (const size_t stride : {1, 0}) {  // odd ones first, then even ones
    for (size_t index = stride; index < slots.size(); index += 2) pool().free(slots[index]);
    pool().check_invariants();
  }
  EXPECT_TRUE(pool().allocate(large).has_value());
}

TEST_F(PoolTest, FullDomainReusesSlotsOfPartialChunks) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 4096);
  const std::vector<SlotId> slots = fill(size_class);
  pool().free(slots[100]);
  pool().free(slots[7]);
  EXPECT_EQ(allocate(size_class, slots[3]), slots[100]);  // has been free for longest
  EXPECT_EQ(allocate(size_class), slots[7]);
  EXPECT_EQ(pool().allocate(size_class), std::nullopt);
}

TEST_F(PoolTest, ExhaustedDomainGoesOnAfterGrowing) {
  const ClassId size_class = fixture_.size_class(kDomain, kMiB);
  EXPECT_EQ(pool().allocate(size_class), std::nullopt);
  grow();
  EXPECT_EQ(fill(size_class).size(), 16u);
  grow();
  EXPECT_EQ(fill(size_class).size(), 16u);
  EXPECT_EQ(pool().usage(kDomain).segment_bytes, 32 * kMiB);
}

TEST_F(PoolTest, GrowthStopsAtTheBudget) {
  for (int count = 0; count < 4; ++count) grow(count % 2 == 0 ? kDomain : kOther);
  EXPECT_EQ(fixture_.grow(kDomain), Pool::Growth::kExhausted);
  EXPECT_EQ(pool().usage(kDomain).segment_bytes + pool().usage(kOther).segment_bytes, 64 * kMiB);
}

TEST_F(PoolTest, DomainsShareNoSegment) {
  grow(kDomain);
  grow(kOther);
  std::set<SegmentId> of_domain;
  std::set<SegmentId> of_other;
  for (const SlotId slot : fill(fixture_.size_class(kDomain, 4096))) {
    of_domain.insert(pool().place(slot).segment);
  }
  for (const SlotId slot : fill(fixture_.size_class(kOther, 4096))) {
    of_other.insert(pool().place(slot).segment);
  }
  EXPECT_EQ(of_domain, std::set<SegmentId>{SegmentId{0}});
  EXPECT_EQ(of_other, std::set<SegmentId>{SegmentId{1}});
  EXPECT_EQ(pool().find_segment(kDomain, SegmentId{1}), nullptr);
  EXPECT_NE(pool().find_segment(kOther, SegmentId{1}), nullptr);
}

TEST_F(PoolTest, PlaceIsInsideTheSegmentsMapping) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 10'000);
  const SlotPlace place = pool().place(allocate(size_class, allocate(size_class)));
  const Segment* segment = pool().find_segment(kDomain, place.segment);
  ASSERT_NE(segment, nullptr);
  EXPECT_EQ(place.data, segment->data() + place.offset);
  EXPECT_EQ(place.offset, 12'288u);
}

TEST_F(PoolTest, SegmentsListsUseByAscendingId) {
  grow();
  grow();
  allocate(fixture_.size_class(kDomain, 5000));
  const std::vector<SegmentView> views = pool().segments(kDomain);
  ASSERT_EQ(views.size(), 2u);
  EXPECT_LT(views[0].id, views[1].id);
  EXPECT_EQ(views[0].used_bytes + views[1].used_bytes, 8192u);
  EXPECT_TRUE(pool().segments(DomainId{9}).empty());
}

TEST_F(PoolTest, RetiresOnlyFreeSegmentsAndNeverReusesTheirId) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 4096);
  const SlotId slot = allocate(size_class);
  EXPECT_FALSE(pool().retire(kDomain, SegmentId{0}).has_value());
  grow();
  std::optional<Pool::Retired> retired = pool().retire(kDomain, SegmentId{1});
  ASSERT_TRUE(retired.has_value());
  EXPECT_EQ(retired->id, SegmentId{1});
  EXPECT_EQ(pool().find_segment(kDomain, SegmentId{1}), nullptr);
  EXPECT_EQ(pool().usage(kDomain).segment_bytes, 16 * kMiB);
  EXPECT_EQ(pool().usage(kDomain).retiring_bytes, 16 * kMiB) << "charged until it is gone";
  pool().give_back(kDomain, std::move(retired->segment));
  while (pool().usage(kDomain).retiring_bytes > 0) pool().collect_gone();
  pool().free(slot);
  EXPECT_EQ(pool().retire(kDomain, SegmentId{0})->id, SegmentId{0});
  EXPECT_FALSE(pool().retire(kDomain, SegmentId{0}).has_value());
  grow();
  EXPECT_EQ(pool().segments(kDomain).at(0).id, SegmentId{2});
}

TEST_F(PoolTest, SegmentThatIsSetAsideGivesNoSlot) {
  grow();
  const ClassId size_class = fixture_.size_class(kDomain, 4096);
  const SlotId kept = allocate(size_class);
  const SlotId freed = allocate(size_class, kept);
  pool().free(freed);
  pool().set_aside(kDomain, SegmentId{0}, true);
  EXPECT_FALSE(pool().allocate(size_class, kept).has_value()) << "the slot behind it is free";
  EXPECT_FALSE(pool().allocate(fixture_.size_class(kDomain, 8192)).has_value());
  pool().check_invariants();
  pool().set_aside(kDomain, SegmentId{0}, false);
  EXPECT_EQ(pool().allocate(size_class, kept), freed);
  pool().set_aside(kDomain, SegmentId{0}, true);
  pool().free(freed);
  pool().free(kept);
  pool().check_invariants();
  EXPECT_TRUE(pool().retire(kDomain, SegmentId{0}).has_value());
}

TEST_F(PoolTest, VisitsEachSlotOfASegmentOnce) {
  grow();
  grow();
  std::set<SlotId> expected;
  for (const uint64_t page_bytes : {4096, 70'000}) {
    for (const SlotId slot : fill(fixture_.size_class(kDomain, page_bytes))) {
      if (slot.value % 3 == 0) {
        pool().free(slot);
      } else if (pool().place(slot).segment == SegmentId{1}) {
        expected.insert(slot);
      }
    }
  }
  std::vector<SlotId> visited;
  pool().for_each_slot(SegmentId{1}, [&](SlotId slot) { visited.push_back(slot); });
  EXPECT_EQ(visited.size(), expected.size());
  EXPECT_EQ(std::set<SlotId>(visited.begin(), visited.end()), expected);
  pool().for_each_slot(SegmentId{77}, [&](SlotId) { FAIL(); });
}

TEST_F(PoolTest, FullPageTableIsNoRoom) {
  auto tiny = Pool::create(&fixture_.supply(), 32).value();
  ASSERT_TRUE(tiny->size_class(kDomain, 4096).ok());
  while (tiny->grow(kDomain) == Pool::Growth::kPending) continue;
  uint32_t count = 0;
  while (tiny->allocate(ClassId{0}).has_value()) ++count;
  EXPECT_EQ(count, 32u);
  tiny->check_invariants();
}

TEST_F(PoolTest, TablesAreSmall) {
  grow();
  fill(fixture_.size_class(kDomain, 4096));
  EXPECT_GE(pool().table_bytes(), 4096 * sizeof(PageEntry));
  EXPECT_LE(pool().table_bytes(), 6 * kMiB);  // two huge pages and the room's tree
}

TEST_F(PoolTest, FreeingTwiceIsABug) {
  grow();
  const SlotId slot = allocate(fixture_.size_class(kDomain, 4096));
  pool().free(slot);
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the supply has a thread
  EXPECT_DEATH(pool().free(slot), "check failed");
}

}  // namespace
}  // namespace quire::allocator::pool_test
