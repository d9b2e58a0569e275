#include "tests/support/inspector.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"

namespace quire::tests::inspector_test {
namespace {

using model::FillKind;
using model::NodeId;

constexpr uint64_t kPage = 5000;  // not a whole number of blocks
constexpr uint64_t kSegment = 2 << 20;

// A = 1, B = 2; two append groups, and a state group at checkpoints.
model::Layout layout() {
  model::Layout layout;
  layout.name = "inspected";
  layout.unit_tokens = 1;
  layout.block_tokens = 2;
  layout.groups.push_back(
      {.name = "first", .kind = model::GroupKind::kAppend, .page_bytes = kPage});
  layout.groups.push_back(
      {.name = "second", .kind = model::GroupKind::kAppend, .page_bytes = 2 * kPage});
  layout.groups.push_back({.name = "state", .kind = model::GroupKind::kState, .page_bytes = kPage});
  return layout;
}

model::Hash256 hash(uint8_t number) {
  model::Hash256 hash;
  hash.bytes[0] = number;
  return hash;
}

// A chain of two spans, with a checkpoint at the end of the first.
class InspectorTest : public testing::Test {
 protected:
  InspectorTest()
      : supply_({.budget_bytes = 2 * kSegment,
                 .segment_bytes = kSegment,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 12).value()),
        cache_(make_cache(*pool_, {.max_nodes = 1 << 10, .ssd = true})),
        inspector_(*cache_),
        meddler_(*cache_) {
    cache::RootKey key;
    key.domain = *cache_->add_domain("uid:1");
    key.namespace_name = "model";
    key.layout = *cache_->layouts().add(layout());
    QUIRE_CHECK(cache_->open_session(key, 1, session_).ok());
    first_ = add(FillKind::kSpan, cache_->names().root(session_.root).node, 1, 2);
    second_ = add(FillKind::kSpan, first_, 2, 4);
    checkpoint_ = add(FillKind::kCheckpoint, first_, 3, 2);
  }
  ~InspectorTest() override {
    cache_->check_invariants();
    cache_->close_session(session_);
  }

  NodeId add(FillKind kind, NodeId parent, uint8_t number, uint32_t units) {
    return ObjectMaker(*cache_).make_now({.root = session_.root,
                                          .parent = parent,
                                          .kind = kind,
                                          .hash = hash(number),
                                          .units = units});
  }

  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  Inspector inspector_;
  Meddler meddler_;
  cache::CacheSession session_;
  NodeId first_;
  NodeId second_;
  NodeId checkpoint_;
};

TEST_F(InspectorTest, ObjectsAreFoundByRootKindAndHash) {
  EXPECT_EQ(inspector_.find(FillKind::kSpan, hash(2)), second_);
  EXPECT_EQ(inspector_.find(FillKind::kCheckpoint, hash(3)), checkpoint_);
  EXPECT_FALSE(inspector_.find(FillKind::kCheckpoint, hash(2)));
  EXPECT_FALSE(inspector_.find(model::RootId{7}, FillKind::kSpan, hash(2)));
  EXPECT_EQ(inspector_.objects().size(), 3u);
  EXPECT_EQ(inspector_.object(second_).units, 4u);
  EXPECT_TRUE(inspector_.object(first_).may_have_checkpoints);
  EXPECT_FALSE(inspector_.object(second_).may_have_checkpoints);
}

TEST_F(InspectorTest, QuarantinedObjectIsFoundAnywhereButNotByAMatch) {
  meddler_.pin(second_);
  meddler_.quarantine(second_);
  EXPECT_TRUE(inspector_.object(second_).quarantined);
  EXPECT_FALSE(inspector_.find(FillKind::kSpan, hash(2)));
  EXPECT_EQ(inspector_.find_anywhere(FillKind::kSpan, hash(2)), second_);
  EXPECT_EQ(inspector_.counters().quarantined, 1u);
  meddler_.unpin(second_);
  EXPECT_FALSE(inspector_.find_anywhere(FillKind::kSpan, hash(2)).valid());
}

TEST_F(InspectorTest, SomethingMayBeEvictedUnlessEveryLeafIsPinned) {
  EXPECT_TRUE(inspector_.has_evictable(model::DomainId{0}));
  meddler_.pin(second_);
  EXPECT_TRUE(inspector_.has_evictable(model::DomainId{0})) << "the checkpoint";
  meddler_.pin(checkpoint_);
  EXPECT_FALSE(inspector_.has_evictable(model::DomainId{0}));
  EXPECT_FALSE(inspector_.has_evictable_for(session_.payer));
  EXPECT_FALSE(inspector_.has_evictable(model::DomainId{1})) << "nobody's";
  meddler_.unpin(checkpoint_);
  EXPECT_TRUE(inspector_.has_evictable(model::DomainId{0}));
  EXPECT_TRUE(inspector_.has_evictable_for(session_.payer));
  meddler_.unpin(second_);
}

TEST_F(InspectorTest, AccountOfADomainIsThatOfItsTenants) {
  EXPECT_EQ(inspector_.domain_account(model::DomainId{0}).used_bytes,
            inspector_.usage().page_bytes);
  EXPECT_EQ(inspector_.domain_account(model::DomainId{1}).used_bytes, 0u);
  cache::AccountTable& accounts = cache_->store().presence().accounts();
  const uint64_t offers = inspector_.offers();
  {
    const cache::AccountHold some(&accounts, session_.payer, model::TierId::kRam, 5);
    EXPECT_EQ(inspector_.domain_account(model::DomainId{0}).reserved_bytes, 5u);
    EXPECT_EQ(inspector_.reserved_bytes(), 5u);
  }
  EXPECT_EQ(inspector_.reserved_bytes(), 0u);
  EXPECT_EQ(inspector_.offers(), offers);
  meddler_.pin(second_);
  meddler_.unpin(second_);
  EXPECT_GT(inspector_.offers(), offers);
}

TEST_F(InspectorTest, PagesAreThoseOfThePlanInTheirTrueSize) {
  const auto span = inspector_.pages(second_);
  ASSERT_EQ(span.size(), 2u);
  EXPECT_EQ(span[0].bytes.size(), kPage);
  EXPECT_EQ(span[1].bytes.size(), 2 * kPage);
  EXPECT_NE(span[0].bytes.data(), span[1].bytes.data());
  EXPECT_EQ(span[0].segment, inspector_.segments(model::DomainId{0}).at(0).id);
  EXPECT_EQ(inspector_.ram_page_count(), inspector_.ram_slot_count());
  EXPECT_EQ(inspector_.usage().page_bytes, 2 * 3 * kPage + kPage) << "checkpoint: no tail here";
}

TEST_F(InspectorTest, CorruptionChangesOneByteAndNoChecksum) {
  const RamPage page = inspector_.pages(first_)[1];
  std::fill(page.bytes.begin(), page.bytes.end(), std::byte{8});
  meddler_.set_checksum(first_, 99, 1);
  meddler_.corrupt(first_, 2 * kPage - 1, 1);
  EXPECT_EQ(page.bytes.back(), std::byte{9});
  EXPECT_EQ(std::count(page.bytes.begin(), page.bytes.end(), std::byte{8}), 2 * kPage - 1);
  EXPECT_EQ(inspector_.pages(first_)[1].crc32c, 99u);
  EXPECT_EQ(inspector_.pages(first_)[0].crc32c, 0u);
}

TEST_F(InspectorTest, TiersOfAnObjectAreToldApart) {
  meddler_.put_on_ssd(second_, 17);
  EXPECT_TRUE(inspector_.in_ram(second_));
  EXPECT_TRUE(inspector_.object(second_).on_ssd);
  EXPECT_FALSE(inspector_.counters().all_on_ssd());
  ASSERT_TRUE(meddler_.leave_ram(second_));
  EXPECT_FALSE(inspector_.in_ram(second_));
  EXPECT_TRUE(inspector_.pages(second_).empty());
  EXPECT_EQ(inspector_.ssd_copy(second_)->slot, 17u);
  EXPECT_FALSE(inspector_.ssd_copy(first_));
  const CacheCounters counters = inspector_.counters();
  EXPECT_EQ(counters.spans, 2u);
  EXPECT_EQ(counters.ram_spans, 1u);
  EXPECT_EQ(counters.ssd_spans, 1u);
  EXPECT_EQ(counters.ssd_only, 1u);
  EXPECT_EQ(counters.ram_checkpoints, 1u);
  EXPECT_EQ(meddler_.empty_ssd(), 1u);
  EXPECT_EQ(inspector_.counters().spans, 1u) << "it had no other copy";
  EXPECT_EQ(inspector_.counters().ssd_evicted, 1u);
}

TEST_F(InspectorTest, AllIsOnSsdWhenCheckpointsAreToo) {
  meddler_.put_on_ssd(first_, 1);
  meddler_.put_on_ssd(second_, 2);
  EXPECT_FALSE(inspector_.counters().all_on_ssd());
  meddler_.put_on_ssd(checkpoint_, 3);
  EXPECT_TRUE(inspector_.counters().all_on_ssd());
}

TEST_F(InspectorTest, PinsAreCountedAndKeepWhatTheyHold) {
  meddler_.pin(second_);
  meddler_.pin(second_);
  meddler_.pin(first_);
  EXPECT_EQ(inspector_.object(second_).pins, 2u);
  EXPECT_EQ(inspector_.pin_count(), 3u);
  EXPECT_EQ(inspector_.moving_count(), 0u);
  EXPECT_EQ(meddler_.evict(), 1u) << "the checkpoint";
  EXPECT_FALSE(meddler_.drop(second_));
  meddler_.unpin(second_);
  meddler_.unpin(second_);
  meddler_.unpin(first_);
  EXPECT_FALSE(meddler_.drop(first_)) << "not a leaf";
  EXPECT_TRUE(meddler_.drop(second_));
  EXPECT_EQ(meddler_.evict(), 1u);
  EXPECT_EQ(inspector_.counters().evictions, 3u);
  EXPECT_EQ(inspector_.usage().slots, 0u);
  EXPECT_GT(inspector_.steps(), 0u);
}

// The parent is the only object that could be evicted in the end; what finds no room takes nothing.
TEST_F(InspectorTest, MakerKeepsTheParentAndGivesBackWhatItCannotUse) {
  NodeId tip = second_;
  for (uint8_t depth = 3; depth < 250; ++depth) {
    const NodeId made = add(FillKind::kSpan, tip, 1 + depth, 2 * depth);
    if (!made.valid()) break;
    tip = made;
  }
  EXPECT_LT(inspector_.object(tip).units, 2 * 249u) << "or the pool was never full";
  EXPECT_EQ(meddler_.grow(model::DomainId{0}), allocator::Pool::Growth::kExhausted);
  EXPECT_EQ(inspector_.ram_slot_count(), inspector_.ram_page_count());
  EXPECT_EQ(inspector_.counters().evicted_checkpoints, 1u);
  EXPECT_EQ(inspector_.counters().evicted_spans, 0u);
}

}  // namespace
}  // namespace quire::tests::inspector_test
