// A daemon that ends under its clients: what they hold goes before what it points into. The
// sanitizer is the judge.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "tests/cache/store_rig.h"

namespace quire::cache::cache_end_test {
namespace {

TEST(CacheEnd, LeasesThatAreHeldGoBeforeTheTree) {
  auto rig = std::make_unique<StoreRig>();
  const model::NodeId first = rig->add(model::FillKind::kSpan, rig->root().node, 2, 2);
  ASSERT_TRUE(first.valid());
  const std::vector<model::Hash256> hashes{StoreRig::key(1), StoreRig::key(2), StoreRig::key(3)};
  LeaseHolder holder;
  const auto match = rig->cache().reader().match(rig->session(), holder, {hashes.data(), 3}, 12);
  ASSERT_TRUE(match.ok());
  ASSERT_NE(match->lease, 0u);
  std::array<model::PageDescriptor, 4> pages;
  model::LoadArgs args{};
  args.lease = match->lease;
  ASSERT_TRUE(rig->cache().loader().load(holder, args, pages).ok());
  EXPECT_GT(rig->inspect().object(first).pins, 0u);
  rig.reset();
}

TEST(CacheEnd, FillsThatAreOpenGoBeforeThePool) {
  auto rig = std::make_unique<StoreRig>();
  const std::vector<model::Hash256> hashes{StoreRig::key(1), StoreRig::key(2)};
  CacheSession session;
  ASSERT_TRUE(rig->cache().open_session(rig->root().key, 2, session).ok());
  model::BeginFillArgs args{};
  args.end_units = 2;
  auto begun = rig->cache().writer().begin(session, 1, {hashes.data(), 2}, args);
  while (begun.ok() && begun->kind == BeginOutcome::Kind::kPending) {
    begun = rig->cache().writer().go_on(begun->fill);  // the first segment is being made
  }
  ASSERT_TRUE(begun.ok());
  EXPECT_EQ(rig->cache().fill_count(), 1u);
  EXPECT_EQ(rig->slot_count(), 1u);
  rig.reset();
}

}  // namespace
}  // namespace quire::cache::cache_end_test
