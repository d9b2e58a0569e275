#include "tiering/transfer/registered_segments.h"

#include <algorithm>

namespace quire::tiering {

RegisteredSegments::~RegisteredSegments() {
  for (const std::byte* start : starts_) engine_->remove_buffer(start);
}

bool RegisteredSegments::cover(const allocator::Pool& pool, model::SlotId slot) {
  const allocator::SlotPlace place = pool.place(slot);
  const std::byte* start = place.data - place.offset;
  const auto at = std::lower_bound(starts_.begin(), starts_.end(), start);
  if (at != starts_.end() && *at == start) return true;
  // Also one that is refused: each try costs a system call, for every page of a run.
  starts_.insert(at, start);
  const allocator::Segment* segment = pool.find_segment(pool.domain_of(slot), place.segment);
  return engine_->add_buffer({segment->data(), segment->bytes()}).ok();
}

void RegisteredSegments::forget(const std::byte* start) {
  const auto at = std::lower_bound(starts_.begin(), starts_.end(), start);
  if (at == starts_.end() || *at != start) return;
  starts_.erase(at);
  engine_->remove_buffer(start);
}

}  // namespace quire::tiering
