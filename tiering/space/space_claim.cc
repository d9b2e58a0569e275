#include "tiering/space/space_claim.h"

#include <algorithm>
#include <string>
#include <vector>

namespace quire::tiering {

using model::Result;

namespace {

std::string name_of(const SpaceClaim& claim) {
  return "slots " + std::to_string(claim.first.index()) + " to " +
         std::to_string(uint64_t{claim.first.index()} + claim.count - 1) + " of region " +
         std::to_string(claim.first.region());
}

// Of two records that cannot both be true this is the later one: a rebuild finds out which is.
model::Error corrupt(const std::string& what) {
  return model::make_error(model::Errc::kCorrupt, what + ": drop the record");
}

Result<void> check_place(const SpaceClaim& claim, const RegionStock& stock,
                         const SizedRegions& sized) {
  if (claim.first.region() >= kMaxRegions) return corrupt("no such region");
  if (stock.is_held(claim.first.region())) {
    return corrupt(name_of(claim) + " lie in a region that others hold");
  }
  // 64 bits: the count of a damaged record may be anything.
  if (claim.slot_bytes % kSsdBlockBytes != 0 || claim.count == 0 ||
      uint64_t{claim.first.index()} + claim.count > sized.geometry(claim.slot_bytes).slot_count) {
    return corrupt(name_of(claim) + " of " + std::to_string(claim.slot_bytes) +
                   " bytes do not fit it");
  }
  return {};
}

model::Error claimed_twice(uint32_t region) {
  return corrupt("region " + std::to_string(region) + " is claimed twice");
}

// A slot of several regions has all of them for itself.
Result<void> check_regions(const SpaceClaim& claim, const RegionStock& stock, size_t more_wanted) {
  std::vector<uint32_t> all(claim.more.begin(), claim.more.end());
  all.push_back(claim.first.region());
  std::sort(all.begin(), all.end());
  const bool twice = std::adjacent_find(all.begin(), all.end()) != all.end();
  if (claim.more.size() != more_wanted || twice) {
    return corrupt(name_of({.first = claim.first, .count = 1}) + " name the wrong regions");
  }
  if (all.back() >= kMaxRegions) return corrupt("no such region");
  for (const uint32_t region : all) {
    if (stock.is_taken(region) || stock.is_held(region)) return claimed_twice(region);
  }
  return {};
}

Result<void> check_slots(const SpaceClaim& claim, const SizedRegions& sized) {
  const RegionSlots* present = sized.slots_in(claim.first.region());
  if (present == nullptr) return {};
  if (present->slot_bytes() != claim.slot_bytes) {
    return corrupt(name_of(claim) + " have " + std::to_string(claim.slot_bytes) +
                   " bytes, the region's " + std::to_string(present->slot_bytes()));
  }
  if (!present->has_room(claim.first.index(), claim.count)) {
    return corrupt(name_of(claim) + " are claimed twice");
  }
  return {};
}

}  // namespace

Result<void> check_claim(const SpaceClaim& claim, const RegionStock& stock,
                         const SizedRegions& sized, uint64_t region_bytes) {
  QUIRE_TRY(check_place(claim, stock, sized));
  const size_t more_wanted = more_regions(region_bytes, claim.slot_bytes);
  if (more_wanted > 0 || !claim.more.empty()) {
    QUIRE_TRY(check_regions(claim, stock, more_wanted));
  } else if (sized.is_part(claim.first.region())) {
    return claimed_twice(claim.first.region());
  }
  return check_slots(claim, sized);
}

}  // namespace quire::tiering
