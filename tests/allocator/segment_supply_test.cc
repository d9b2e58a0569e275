#include "allocator/segment_supply.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/allocator/machine_limits.h"
#include "tests/allocator/supply_probe.h"
#include "tests/support/patience.h"

namespace quire::allocator::segment_supply_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSegmentBytes = 2 * kMiB;

SegmentSupplyOptions small_options(SupplyProbe& probe, uint32_t segments) {
  return {.budget_bytes = segments * kSegmentBytes,
          .segment_bytes = kSegmentBytes,
          .huge_pages = HugePages::kOff,
          .population = Population::kEager,
          .on_ready = probe.on_ready()};
}

TEST(SegmentSupply, FillsTheBudgetAndNoMore) {
  SupplyProbe probe;
  SegmentSupplyOptions options = small_options(probe, 5);
  options.budget_bytes += kSegmentBytes - 1;  // a rest too small for one more
  SegmentSupply supply(options);
  ASSERT_TRUE(probe.wait([&] { return supply.status().spare == 5; }));
  EXPECT_EQ(supply.segment_bytes(), kSegmentBytes);

  std::vector<std::unique_ptr<Segment>> taken;
  while (supply.state() == SupplyState::kReady) taken.push_back(supply.take());
  EXPECT_EQ(taken.size(), 5u);
  EXPECT_EQ(supply.take(), nullptr);
  EXPECT_EQ(supply.state(), SupplyState::kExhausted);
  const SupplyStatus status = supply.status();
  EXPECT_EQ(status.max_segments, 5u);
  EXPECT_EQ(status.given_out, 5u);
  EXPECT_EQ(status.spare, 0u);
  EXPECT_EQ(status.failure, "");
}

TEST(SegmentSupply, GivenBackShareBecomesAFreshZeroedSegment) {
  SupplyProbe probe;
  SegmentSupply supply(small_options(probe, 1));
  ASSERT_TRUE(probe.wait([&] { return supply.state() == SupplyState::kReady; }));
  std::unique_ptr<Segment> segment = supply.take();
  segment->data()[0] = std::byte{1};
  supply.give_back(std::move(segment));
  EXPECT_NE(supply.state(), SupplyState::kExhausted);
  ASSERT_TRUE(probe.wait([&] { return supply.state() == SupplyState::kReady; }));
  segment = supply.take();
  EXPECT_EQ(segment->data()[0], std::byte{0});
  EXPECT_EQ(supply.status().given_out, 1u);
}

// Whatever it says: the memory is in use for as long as it has the file.
TEST(SegmentSupply, WithoutAThreadAllIsMadeAndUnmappedOnTheCaller) {
  SupplyProbe probe;
  SegmentSupplyOptions options = small_options(probe, 2);
  options.on_caller = true;
  SegmentSupply supply(options);
  EXPECT_EQ(supply.status().spare, 2u);
  std::unique_ptr<Segment> segment = supply.take();
  std::unique_ptr<Segment> other = supply.take();
  EXPECT_EQ(supply.state(), SupplyState::kExhausted);
  segment->data()[0] = std::byte{1};
  supply.give_back(std::move(segment), 7);
  EXPECT_EQ(supply.take_gone(), (std::vector<uint16_t>{7}));
  EXPECT_EQ(supply.state(), SupplyState::kReady);
  EXPECT_EQ(supply.take()->data()[0], std::byte{0});
}

TEST(SegmentSupply, MemoryThatAClientKeepsIsNotMadeAnew) {
  SupplyProbe probe;
  SegmentSupply supply(small_options(probe, 2));
  ASSERT_TRUE(probe.wait([&] { return probe.calls() == 2; }));  // two came, and are told of
  std::unique_ptr<Segment> segment = supply.take();
  const std::unique_ptr<Segment> other = supply.take();
  model::FdGuard descriptor(::fcntl(segment->read_only_fd(), F_DUPFD_CLOEXEC, 0));
  auto mapping = model::Mapping::map_shared(descriptor.get(), kSegmentBytes, false);
  ASSERT_TRUE(mapping.ok());
  EXPECT_TRUE(supply.take_news());
  bool told = supply.take_news();
  EXPECT_FALSE(told);
  supply.give_back(std::move(segment), 7);
  const auto await = [](const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + tests::kPatience;
    while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return condition();
  };
  ASSERT_TRUE(await([&] { return supply.status().kept == 1; }));
  EXPECT_TRUE(await([&] { return told = told || supply.take_news(); })) << "none is coming now";
  EXPECT_EQ(supply.state(), SupplyState::kExhausted) << "nobody waits for it";
  descriptor.reset();
  EXPECT_EQ(supply.status().kept, 1u) << "the mapping alone keeps it";
  EXPECT_TRUE(supply.take_gone().empty());
  mapping->reset();
  ASSERT_TRUE(await([&] { return supply.state() == SupplyState::kReady; }));
  EXPECT_EQ(supply.status().kept, 0u);
  EXPECT_EQ(supply.take_gone(), std::vector<uint16_t>{7});
}

TEST(SegmentSupply, BudgetBelowOneSegmentIsExhaustedAtOnce) {
  SupplyProbe probe;
  const SegmentSupply supply(small_options(probe, 0));
  EXPECT_EQ(supply.state(), SupplyState::kExhausted);
  EXPECT_EQ(supply.status().max_segments, 0u);
}

TEST(SegmentSupply, FailureStopsAttemptsUntilTheirTimeHasCome) {
  SupplyProbe probe;
  std::unique_ptr<SegmentSupply> supply;
  {
    const NoDescriptors none;
    supply = std::make_unique<SegmentSupply>(small_options(probe, 3));
    ASSERT_TRUE(probe.wait([&] { return !supply->status().failure.empty(); }));
    for (int turn = 0; turn < 1000; ++turn) {  // turns for attempts that must not come
      EXPECT_EQ(supply->status().spare, 0u);
      std::this_thread::yield();
    }
  }
  EXPECT_EQ(supply->state(), SupplyState::kExhausted);
  EXPECT_EQ(supply->take(), nullptr);
  EXPECT_NE(supply->status().failure.find("memfd_create"), std::string::npos);

  EXPECT_NE(supply->status().failure.find("RLIMIT_NOFILE"), std::string::npos);

  constexpr int64_t kNow = 5;
  supply->tick(kNow);
  supply->tick(kNow + kFirstRetryNs - 1);
  EXPECT_EQ(supply->state(), SupplyState::kExhausted);
  supply->tick(kNow + kFirstRetryNs);
  ASSERT_TRUE(probe.wait([&] { return supply->status().spare == 3; }));
  EXPECT_EQ(supply->status().failure, "");
  EXPECT_TRUE(probe.wait([&] { return probe.calls() >= 4; }));
  EXPECT_EQ(probe.calls(), 4);  // one failure, no attempt before its time, three segments
}

TEST(SegmentSupply, TriesAgainAfterTwiceAsLongEachTimeUpToABoundAndForEver) {
  SupplyProbe probe;
  std::unique_ptr<SegmentSupply> supply;
  int64_t now_ns = 1;
  {
    const NoDescriptors none;
    supply = std::make_unique<SegmentSupply>(small_options(probe, 2));
    ASSERT_TRUE(probe.wait([&] { return probe.calls() == 1; }));
    for (int64_t back_off_ns = kFirstRetryNs; probe.calls() < 10;
         back_off_ns = std::min(2 * back_off_ns, kLastRetryNs)) {
      const int calls = probe.calls();
      supply->tick(now_ns);  // which sees the failure
      now_ns += back_off_ns;
      supply->tick(now_ns - 1);
      EXPECT_EQ(supply->state(), SupplyState::kExhausted) << "nobody waits for an attempt";
      supply->tick(now_ns);
      ASSERT_TRUE(probe.wait([&] { return probe.calls() == calls + 1; }));
      ASSERT_NE(supply->status().failure, "");
    }
  }
  supply->tick(now_ns);
  supply->tick(now_ns + kLastRetryNs);
  EXPECT_TRUE(probe.wait([&] { return supply->status().spare == 2; }));
  EXPECT_EQ(supply->status().failure, "");
}

TEST(SegmentSupply, HugePageShortageIsAFailureWithItsCause) {
  SupplyProbe probe;
  SegmentSupplyOptions options = small_options(probe, 1);
  options.huge_pages = HugePages::kHugetlb;
  options.segment_bytes = (obtainable_huge_pages() + 1) * kSegmentBytes;
  options.budget_bytes = options.segment_bytes;
  const SegmentSupply supply(options);
  ASSERT_TRUE(probe.wait([&] { return supply.state() == SupplyState::kExhausted; }));
  EXPECT_NE(supply.status().failure.find("huge pages"), std::string::npos);
  EXPECT_EQ(supply.status().huge_bytes, 0u);
}

TEST(SegmentSupply, DestructorDoesNotWaitForAHugePopulation) {
  constexpr uint64_t kHuge = 4096 * kMiB;
  SupplyProbe probe;
  SegmentSupplyOptions options = small_options(probe, 1);
  options.segment_bytes = kHuge;
  options.budget_bytes = options.segment_bytes;
  const uint64_t resident = shared_resident_bytes();
  auto supply = std::make_unique<SegmentSupply>(options);
  while (shared_resident_bytes() <= resident) {  // until population is under way
    if (supply->state() == SupplyState::kExhausted) GTEST_SKIP() << supply->status().failure;
  }
  std::atomic<bool> gone = false;
  uint64_t most = 0;
  std::thread watcher([&] {
    while (!gone) most = std::max(most, shared_resident_bytes());
  });
  supply.reset();
  gone = true;
  watcher.join();
  EXPECT_LT(most, resident + kHuge / 2);
}

TEST(SegmentSupply, ChurnFromTheCoreLosesNoSegment) {
  SupplyProbe probe;
  SegmentSupply supply(small_options(probe, 4));
  std::vector<std::unique_ptr<Segment>> taken;
  for (int round = 0; round < 50; ++round) {
    ASSERT_TRUE(probe.wait([&] { return supply.state() == SupplyState::kReady; }));
    taken.push_back(supply.take());
    const SupplyStatus status = supply.status();
    ASSERT_LE(status.spare + status.given_out, 4u);
    if (taken.size() == 3) {
      for (auto& segment : taken) supply.give_back(std::move(segment));
      taken.clear();
    }
  }
  for (auto& segment : taken) supply.give_back(std::move(segment));
  EXPECT_TRUE(probe.wait([&] { return supply.status().spare == 4; }));
}

}  // namespace
}  // namespace quire::allocator::segment_supply_test
