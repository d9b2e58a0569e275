// Random allocate, free, grow and retire, judged against a plain map of what is given out. A
// failing seed is printed by its parameter.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "tests/allocator/pool_fixture.h"

namespace quire::allocator::pool_model_test {
namespace {

using model::DomainId;
using model::SegmentId;
using model::SlotId;

constexpr uint64_t kSegmentBytes = 4 << 20;
constexpr uint32_t kSegments = 6;
constexpr int kSteps = 2500;
constexpr uint64_t kPageSizes[] = {100, 4096, 9000, 65'536, 300'000, 1'002'240, kSegmentBytes};

struct Page {
  DomainId domain;
  SegmentId segment;
  uint64_t offset = 0;
  uint64_t page_bytes = 0;
  uint64_t stamp = 0;

  uint64_t slot_bytes() const { return (page_bytes + 4095) / 4096 * 4096; }
};

class PoolModel {
 public:
  explicit PoolModel(uint32_t seed) : random_(seed) {
    for (uint16_t domain = 0; domain < 2; ++domain) {
      for (const uint64_t page_bytes : kPageSizes) {
        const ClassId id = fixture_.size_class(DomainId{domain}, page_bytes);
        classes_.push_back({id, DomainId{domain}, page_bytes});
      }
    }
    last_class_ = classes_.front();
  }

  void step() {
    const uint32_t choice = below(100);
    if (choice < (filling_ ? 75u : 25u)) {
      allocate();
    } else if (choice < 96) {
      free_one();
    } else if (choice < 98) {
      grow();
    } else if (choice < 99) {
      retire();
    } else {
      filling_ = below(3) != 0;
    }
    check();
  }

  void free_all() {
    while (!pages_.empty()) free_one();
    check();
  }
  size_t allocated() const { return allocated_; }

 private:
  struct Class {
    ClassId id;
    DomainId domain;
    uint64_t page_bytes = 0;
  };

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }
  SlotId any_slot() { return std::next(pages_.begin(), below(pages_.size()))->first; }

  // Small pages more often than large ones.
  Class any_class() {
    const uint32_t sizes = static_cast<uint32_t>(std::size(kPageSizes));
    const uint32_t size = std::min({below(sizes), below(sizes), below(sizes)});
    return classes_[below(2) * sizes + size];
  }

  SlotId any_hint() {
    const uint32_t choice = below(10);
    if (choice < 5) return last_;
    if (choice < 7 && !pages_.empty()) return any_slot();
    return choice < 9 ? SlotId{} : SlotId{below(3000)};
  }

  void allocate() {
    if (below(6) == 0) last_class_ = any_class();
    const auto slot = fixture_.pool().allocate(last_class_.id, any_hint());
    if (!slot) return;
    ++allocated_;
    last_ = *slot;
    const SlotPlace place = fixture_.pool().place(*slot);
    const Page page{last_class_.domain, place.segment, place.offset, last_class_.page_bytes,
                    random_()};
    check_fresh(*slot, page);
    std::memcpy(place.data, &page.stamp, 8);
    std::memcpy(place.data + page.page_bytes - 8, &page.stamp, 8);
    pages_[*slot] = page;
    by_place_[{page.segment, page.offset}] = *slot;
  }

  void check_fresh(SlotId slot, const Page& page) {
    ASSERT_FALSE(pages_.contains(slot));
    EXPECT_EQ(page.offset % 4096, 0u);
    EXPECT_LE(page.offset + page.slot_bytes(), kSegmentBytes);
    EXPECT_NE(fixture_.pool().find_segment(page.domain, page.segment), nullptr);
    EXPECT_EQ(fixture_.pool().page(slot).state(), PageState::kFilling);
    EXPECT_EQ(fixture_.pool().page(slot).generation(), ++generations_[slot]);
    const auto behind = by_place_.lower_bound({page.segment, page.offset});
    if (behind != by_place_.end() && behind->first.first == page.segment) {
      EXPECT_LE(page.offset + page.slot_bytes(), behind->first.second);
    }
    if (behind != by_place_.begin() && std::prev(behind)->first.first == page.segment) {
      const Page& before = pages_[std::prev(behind)->second];
      EXPECT_LE(before.offset + before.slot_bytes(), page.offset);
    }
  }

  void free_one() {
    if (pages_.empty()) return;
    const SlotId slot = any_slot();
    const Page page = pages_[slot];
    const SlotPlace place = fixture_.pool().place(slot);
    EXPECT_EQ(std::pair(place.segment, place.offset), std::pair(page.segment, page.offset));
    EXPECT_EQ(fixture_.pool().page_bytes(slot), page.page_bytes);
    EXPECT_EQ(std::memcmp(place.data, &page.stamp, 8), 0);
    EXPECT_EQ(std::memcmp(place.data + page.page_bytes - 8, &page.stamp, 8), 0);
    fixture_.pool().free(slot);
    pages_.erase(slot);
    by_place_.erase({page.segment, page.offset});
  }

  void grow() {
    const DomainId domain{static_cast<uint16_t>(below(2))};
    const Pool::Growth growth = fixture_.grow(domain);
    EXPECT_EQ(growth, held_ < kSegments ? Pool::Growth::kGrew : Pool::Growth::kExhausted);
    if (growth == Pool::Growth::kGrew) ++held_;
  }

  void retire() {
    const DomainId domain{static_cast<uint16_t>(below(2))};
    for (const SegmentView& view : fixture_.pool().segments(domain)) {
      auto retired = fixture_.pool().retire(domain, view.id);
      ASSERT_EQ(retired.has_value(), !has_pages(view.id));
      if (!retired) continue;
      EXPECT_EQ(fixture_.pool().find_segment(domain, view.id), nullptr);
      fixture_.pool().give_back(domain, std::move(retired->segment));
      --held_;
      return;
    }
  }

  bool has_pages(SegmentId id) const {
    const auto first = by_place_.lower_bound({id, 0});
    return first != by_place_.end() && first->first.first == id;
  }

  void check() {
    fixture_.pool().check_invariants();
    DomainUsage expected[2];
    for (const auto& [slot, page] : pages_) {
      expected[page.domain.value].slots += 1;
      expected[page.domain.value].slot_bytes += page.slot_bytes();
      expected[page.domain.value].page_bytes += page.page_bytes;
    }
    uint64_t segment_bytes = 0;
    for (uint16_t domain = 0; domain < 2; ++domain) {
      const DomainUsage usage = fixture_.pool().usage(DomainId{domain});
      EXPECT_EQ(usage.slots, expected[domain].slots);
      EXPECT_EQ(usage.slot_bytes, expected[domain].slot_bytes);
      EXPECT_EQ(usage.page_bytes, expected[domain].page_bytes);
      segment_bytes += usage.segment_bytes;
    }
    EXPECT_EQ(segment_bytes, held_ * kSegmentBytes);
  }

  std::mt19937_64 random_;
  PoolFixture fixture_{kSegmentBytes, kSegments};
  std::vector<Class> classes_;
  Class last_class_;
  std::map<SlotId, Page> pages_;
  std::map<std::pair<SegmentId, uint64_t>, SlotId> by_place_;
  std::map<SlotId, uint32_t> generations_;
  SlotId last_;
  uint64_t held_ = 0;
  size_t allocated_ = 0;
  bool filling_ = true;
};

class PoolModelTest : public testing::TestWithParam<uint32_t> {};

TEST_P(PoolModelTest, AgreesWithAPlainMap) {
  PoolModel model(GetParam());
  for (int step = 0; step < kSteps && !HasFailure(); ++step) model.step();
  model.free_all();
  EXPECT_GT(model.allocated(), size_t{kSteps} / 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PoolModelTest, testing::Range(1u, 9u));

}  // namespace
}  // namespace quire::allocator::pool_model_test
