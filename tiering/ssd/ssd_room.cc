#include "tiering/ssd/ssd_room.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace quire::tiering {

namespace {

constexpr uint32_t kEvictionsPerStep = 64;     // of SSD copies, to make room
constexpr uint64_t kFreeingSlotsEnough = 256;  // room is on its way
constexpr int64_t kFirstGrowNs = 1'000'000'000;
constexpr int64_t kLastGrowNs = 60'000'000'000;

// EFBIG: RLIMIT_FSIZE, or the largest file of the file system.
bool is_short_of_room(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

}  // namespace

std::optional<SsdRun> SsdRoom::take(uint64_t slot_bytes, uint32_t count, SsdSlot after) {
  for (;;) {
    const std::optional<SsdRun> slots = parts_.space->take(slot_bytes, count, after);
    // Free slots of a sealed file stay taken: it is not written to again.
    if (!slots || !parts_.files->is_sealed(slots->first.region())) return slots;
  }
}

uint64_t SsdRoom::regions_of(uint64_t slot_bytes, uint64_t count) const {
  const uint64_t region_bytes = parts_.space->region_bytes();
  const uint64_t in_a_region = slot_geometry(region_bytes, slot_bytes).slot_count;
  if (in_a_region > 1) return (count + in_a_region - 1) / in_a_region;
  return count * (1 + more_regions(region_bytes, slot_bytes));
}

uint64_t SsdRoom::usable_regions(uint64_t unusable, int64_t now_ns) const {
  const SsdSpaceUsage usage = parts_.space->usage();
  const bool may_grow = limited_by_.empty() || now_ns >= grow_at_ns_;
  const uint64_t bytes = may_grow ? usage.capacity_bytes : usage.allocated_bytes;
  const uint64_t regions = bytes / parts_.space->region_bytes();
  return regions - std::min(regions, unusable);
}

bool SsdRoom::can_hold(uint64_t slot_bytes, int64_t now_ns) const {
  if (slot_bytes > parts_.space->largest_slot_bytes()) return false;
  const uint64_t regions = regions_of(slot_bytes, 1);
  // Regions with kept content are never emptied: all the rest would be, in vain.
  const uint64_t kept = parts_.kept->claimed_regions() + parts_.space->stock().held_with_blocks();
  return regions <= usable_regions(regions > 1 ? kept : 0, now_ns);
}

bool SsdRoom::can_hold_regions(uint64_t regions, int64_t now_ns) const {
  return regions <= usable_regions(parts_.space->stock().held_with_blocks(), now_ns);
}

bool SsdRoom::can_hold_beside(const std::unordered_set<uint32_t>& regions, uint64_t slot_bytes,
                              int64_t now_ns) const {
  const uint64_t needed = regions_of(slot_bytes, 1);
  uint64_t unusable = regions.size() + parts_.space->stock().held_with_blocks();
  // Beside what is kept, slots may become free, but no whole region.
  if (needed > 1) {
    unusable += parts_.kept->claimed_regions();
    for (const uint32_t region : regions) unusable -= parts_.kept->has_claimed(region) ? 1 : 0;
  }
  return needed <= usable_regions(unusable, now_ns);
}

bool SsdRoom::make(uint64_t slot_bytes, model::TenantId asker, int64_t now_ns) {
  blocked_by_.clear();
  stuck_ = false;
  if (allocating()) return false;
  const SsdSpaceUsage usage = parts_.space->usage();
  const auto capacity = static_cast<uint32_t>(usage.capacity_bytes / parts_.space->region_bytes());
  const uint32_t regions = std::max(capacity, parts_.space->stock().count());
  // What is dropped from a sealed file makes no room.
  if (parts_.files->sealed_count() > parts_.files->number_of(regions - 1)) {
    blocked_by_ = "a sync of every data file has failed; a restart makes them writable again";
    return false;
  }
  if (auto made = parts_.space->add_region(slot_bytes, now_ns >= grow_at_ns_)) {
    return begin_allocating(std::move(*made), now_ns);
  }
  evict(regions_of(slot_bytes, 1) * parts_.space->region_bytes(), asker);
  return false;
}

// No more than what was asked for needs: of large ones a step would empty a small tier.
void SsdRoom::evict(uint64_t enough_bytes, model::TenantId asker) {
  const auto on_its_way = [&] {
    const SsdSpaceUsage usage = parts_.space->usage();
    return usage.freeing_slots >= kFreeingSlotsEnough || usage.freeing_bytes >= enough_bytes;
  };
  uint32_t evicted = 0;
  while (evicted < kEvictionsPerStep && !on_its_way() && committer_->evict_one(asker)) ++evicted;
  const bool freeing = parts_.space->usage().freeing_slots > 0;
  stuck_ = evicted == 0 && !freeing;
  const std::string full = limited_by_.empty() ? "the SSD is full" : limited_by_;
  blocked_by_ = full + (freeing ? "; its least useful copies are being dropped"
                                : " and everything on it is in use");
}

// True: nothing has to be allocated.
bool SsdRoom::begin_allocating(SsdSpace::NewRegion made, int64_t now_ns) {
  const auto opened = parts_.files->open(made.region, true);
  if (!opened.ok()) {
    blocked_by_ = opened.error().text;
    parts_.space->drop_region(made.region, made.absent);
    parts_.health->open_failed(opened.error(), now_ns);
    return false;
  }
  if (!made.fresh()) return true;
  made_ = std::move(made);
  // The manifest needs some too: without it nothing becomes durable, and no region helps.
  const uint64_t left = made_->absent.size() + 1;
  if (parts_.directory->free_bytes() < left * parts_.space->region_bytes()) {
    allocation_failed(ENOSPC, now_ns);
  } else {
    allocate_next();
  }
  return false;
}

void SsdRoom::allocate_next() {
  const SsdFiles::Place place = parts_.files->start(made_->absent.back());
  allocation_ = IoOp{.kind = IoKind::kAllocate,
                     .file = place.file,
                     .offset = place.offset,
                     .bytes = parts_.space->region_bytes(),
                     .client = &client_};
  parts_.io->submit_first(&allocation_);
}

void SsdRoom::step(int64_t now_ns) {
  for (const IoOp* op : client_.take()) finish_allocation(op->error, now_ns);
}

void SsdRoom::finish_allocation(int error, int64_t now_ns) {
  if (error != 0) return allocation_failed(error, now_ns);
  if (!limited_by_.empty()) ++relieved_count_;
  limited_by_.clear();
  grow_interval_ns_ = 0;
  made_->absent.pop_back();
  if (made_->fresh()) return allocate_next();
  made_.reset();
}

void SsdRoom::allocation_failed(int error, int64_t now_ns) {
  const uint32_t region = made_->absent.back();
  const std::string what =
      "allocation in " + parts_.files->name_of(region) + ": " + std::strerror(error);
  parts_.space->drop_region(made_->region, made_->absent);
  made_.reset();
  const uint64_t left = parts_.space->usage().allocated_bytes;
  if (!is_short_of_room(error) || left == 0) {
    parts_.health->write_failed(error, what, now_ns);
    return;
  }
  parts_.health->note_no_room();
  grow_interval_ns_ = std::clamp(2 * grow_interval_ns_, kFirstGrowNs, kLastGrowNs);
  grow_at_ns_ = now_ns + grow_interval_ns_;
  limited_by_ = what + "; the tier goes on with the " + std::to_string(left) + " bytes it has";
}

}  // namespace quire::tiering
