// Random operations on SsdSpace against a plain map of slots.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/tiering/space_geometry.h"

namespace quire::tiering::ssd_space_model_test {
namespace {

constexpr uint64_t kRegionBytes = 1 << 20;
constexpr uint64_t kSmall = 4096;       // 128 slots a region
constexpr uint64_t kMiddle = 3 * 4096;  // 64 slots a region
constexpr uint64_t kLarge = 40 * 4096;  // 6 slots a region

class SpaceModel {
 public:
  explicit SpaceModel(uint64_t seed) : random_(seed), space_(kRegionBytes, kRegions) {}

  void step() {
    switch (random_() % 8) {
      case 0:
      case 1:
        return take();
      case 2:
      case 3:
        return release();
      case 4:
        return reclaim();
      case 5:
      case 6:
        return claim();
      default:
        return random_() % 4 == 0 ? add_or_drop() : reclaim();
    }
  }
  void check() const;
  void empty_all();

  uint64_t taken = 0;
  uint64_t claimed = 0;
  uint64_t refused = 0;

 private:
  static constexpr uint32_t kRegions = 5;
  struct Run {
    uint32_t count = 0;  // from the first slot on, freeing ones included
    uint32_t freeing = 0;
  };

  uint64_t pick_size() { return std::vector{kSmall, kMiddle, kLarge}[random_() % 3]; }
  SsdSlot pick_slot() { return SsdSlot::of(random_() % (kRegions + 1), random_() % 140); }
  void insert(SsdSlot first, uint32_t count) {
    runs_[first.value] = {count, 0};
    for (uint32_t i = 0; i < count; ++i) {
      ASSERT_TRUE(occupied_.insert(first.value + i).second) << "two own " << first.value + i;
    }
    sizes_[first.region()] = space_.slot_bytes(first.region());
  }
  bool region_empty(uint32_t region) const {
    const auto slot = occupied_.lower_bound(SsdSlot::of(region, 0).value);
    return slot == occupied_.end() || SsdSlot{*slot}.region() != region;
  }
  // Claims may have gone beyond the capacity; a region that has blocks needs no new ones.
  bool has_free_region() const {
    return allocated_.size() < kRegions ||
           (allocated_.size() == kRegions && sizes_.size() < kRegions);
  }
  // Who asked for regions of other sizes, and took nothing of them, went on without.
  void take_back_untouched(uint64_t bytes) {
    std::erase_if(sizes_,
                  [&](const auto& one) { return one.second != bytes && region_empty(one.first); });
  }
  void take();
  void release();
  void reclaim();
  void claim();
  void add_or_drop();

  std::mt19937_64 random_;
  SsdSpace space_;
  std::map<uint32_t, Run> runs_;
  std::set<uint32_t> occupied_;
  std::map<uint32_t, uint64_t> sizes_;  // of regions
  std::set<uint32_t> allocated_;        // regions
};

void SpaceModel::take() {
  const uint64_t bytes = pick_size();
  const uint32_t count = 1 + random_() % 20;
  const SsdSlot after = pick_slot();
  const auto run = space_.take(bytes, count, after);
  bool room = false;
  for (const auto& [region, size] : sizes_) {
    if (size != bytes) continue;
    for (uint32_t i = 0; i < geometry_of(space_, region).slot_count; ++i) {
      room |= !occupied_.contains(SsdSlot::of(region, i).value);
    }
  }
  ASSERT_EQ(run.has_value(), room);
  if (!run) return;
  ++taken;
  ASSERT_GE(run->count, 1u);
  ASSERT_LE(run->count, count);
  ASSERT_EQ(sizes_.at(run->first.region()), bytes);
  ASSERT_LE(run->first.index() + run->count, geometry_of(space_, run->first.region()).slot_count);
  insert(run->first, run->count);
}

void SpaceModel::release() {
  if (runs_.empty()) return;
  auto run = runs_.lower_bound(pick_slot().value);
  if (run == runs_.end()) run = runs_.begin();
  const bool whole = random_() % 4 != 0;
  while (run->second.freeing < run->second.count) {
    space_.release({run->first + run->second.count - 1 - run->second.freeing++});
    if (!whole) return;
  }
}

void SpaceModel::reclaim() {
  if (runs_.empty()) return;
  auto run = runs_.lower_bound(pick_slot().value);
  if (run == runs_.end()) run = runs_.begin();
  const uint32_t freed = run->second.freeing;
  const uint32_t first = run->first + run->second.count - freed;
  const bool backwards = random_() % 2 == 0;
  for (uint32_t i = 0; i < freed; ++i) {
    const uint32_t slot = backwards ? first + freed - 1 - i : first + i;
    space_.reclaim({slot});
    occupied_.erase(slot);
  }
  run->second.count -= freed;
  run->second.freeing = 0;
  if (region_empty(SsdSlot{run->first}.region())) sizes_.erase(SsdSlot{run->first}.region());
  if (run->second.count == 0) runs_.erase(run);
}

void SpaceModel::claim() {
  const SsdSlot first = pick_slot();
  const uint32_t count = 1 + random_() % 6;
  const auto size = sizes_.find(first.region());
  const uint64_t bytes = size != sizes_.end() && random_() % 2 ? size->second : pick_size();
  bool fits = (size == sizes_.end() || size->second == bytes) &&
              first.index() + count <= region_geometry(kRegionBytes, bytes).slot_count;
  for (uint32_t i = 0; i < count; ++i) fits &= !occupied_.contains(first.value + i);
  const bool ok = space_.claim(first, count, bytes).ok();
  ASSERT_EQ(ok, fits);
  if (!ok) {
    ++refused;
    return;
  }
  ++claimed;
  allocated_.insert(first.region());
  insert(first, count);
}

void SpaceModel::add_or_drop() {
  if (random_() % 2 == 0) {
    const uint64_t bytes = pick_size();
    const auto region = space_.add_region(bytes);
    if (!has_free_region()) take_back_untouched(bytes);
    ASSERT_EQ(region.has_value(), has_free_region());
    if (!region) return;
    ASSERT_TRUE(sizes_.emplace(region->region, bytes).second);
    ASSERT_EQ(region->fresh(), allocated_.insert(region->region).second);
    return;
  }
  const uint32_t region = random_() % (kRegions + 1);
  if (region >= space_.stock().count() || !region_empty(region)) return;
  space_.drop_region(region, {&region, 1});
  sizes_.erase(region);
  allocated_.erase(region);
}

void SpaceModel::check() const {
  space_.check_invariants();
  uint64_t freeing = 0;
  for (const auto& [first, run] : runs_) {
    freeing += run.freeing;
    for (uint32_t i = 0; i < run.count; ++i) {
      ASSERT_EQ(space_.run_start({first + i}).value, first);
      ASSERT_EQ(space_.is_used({first + i}), i + run.freeing < run.count);
    }
  }
  const SsdSpaceUsage usage = space_.usage();
  ASSERT_EQ(usage.freeing_slots, freeing);
  ASSERT_EQ(usage.allocated_bytes, allocated_.size() * kRegionBytes);
  ASSERT_EQ(usage.used_slots + usage.freeing_slots, occupied_.size());
  for (uint32_t region = 0; region <= kRegions; ++region) {
    const auto size = sizes_.find(region);
    ASSERT_EQ(space_.slot_bytes(region), size == sizes_.end() ? 0 : size->second);
    for (uint32_t i = 0; i < 140; ++i) {
      const SsdSlot slot = SsdSlot::of(region, i);
      ASSERT_TRUE(!space_.is_used(slot) || occupied_.contains(slot.value));
    }
  }
}

void SpaceModel::empty_all() {
  while (!runs_.empty()) {
    release();
    reclaim();
  }
  check();
  EXPECT_EQ(space_.usage().used_bytes, 0u);
}

TEST(SsdSpaceModel, SpaceBehavesAsAPlainSetOfSlots) {
  for (uint64_t seed = 1; seed <= 32; ++seed) {
    SCOPED_TRACE(seed);
    SpaceModel model(seed);
    for (int i = 0; i < 3000; ++i) {
      model.step();
      if (i % 16 == 0) model.check();
      if (testing::Test::HasFatalFailure()) return;
    }
    model.empty_all();
    EXPECT_GT(model.taken, 100u);
    EXPECT_GT(model.claimed, 20u);
    EXPECT_GT(model.refused, 20u);
  }
}

}  // namespace
}  // namespace quire::tiering::ssd_space_model_test
