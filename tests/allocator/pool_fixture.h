// A pool over small segments whose memory is never populated, for tests of placement.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "allocator/pool.h"
#include "tests/allocator/supply_probe.h"

namespace quire::allocator {

class PoolFixture {
 public:
  static constexpr uint64_t kMaxSlots = 1 << 16;

  PoolFixture(uint64_t segment_bytes, uint32_t segments) {
    supply_ = std::make_unique<SegmentSupply>(
        SegmentSupplyOptions{.budget_bytes = segment_bytes * segments,
                             .segment_bytes = segment_bytes,
                             .huge_pages = HugePages::kOff,
                             .population = Population::kLazy,
                             .on_ready = probe_.on_ready()});
    auto created = Pool::create(supply_.get(), kMaxSlots);
    QUIRE_CHECK(created.ok());
    pool_ = std::move(created).value();
  }

  Pool& pool() { return *pool_; }
  SegmentSupply& supply() { return *supply_; }

  // Waits until the supply has decided, then grows.
  Pool::Growth grow(model::DomainId domain) {
    EXPECT_TRUE(probe_.wait([this] { return supply_->state() != SupplyState::kPending; }));
    return pool_->grow(domain);
  }

  ClassId size_class(model::DomainId domain, uint64_t page_bytes) {
    const auto found = pool_->size_class(domain, page_bytes);
    QUIRE_CHECK(found.ok());
    return found.value();
  }

 private:
  SupplyProbe probe_;
  std::unique_ptr<SegmentSupply> supply_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace quire::allocator
