#include "server/rings/lane_memory.h"

#include <algorithm>
#include <bit>

namespace quire::server {

using model::Errc;
using model::make_error;

model::Result<void> LaneShape::check() const {
  if (!model::is_power_of_two(ring_entries) || ring_entries < model::kMinRingEntries ||
      ring_entries > model::kMaxRingEntries) {
    return make_error(Errc::kInvalidArgument, "ring_entries must be a power of two in 8..4096");
  }
  if (max_units == 0 || max_units >= model::kMaxUnits) {
    return make_error(Errc::kInvalidArgument, "max_units must be in 1..16,777,215");
  }
  if (max_load_pages == 0 || max_load_pages > model::kMaxLoadPages) {
    return make_error(Errc::kInvalidArgument, "max_load_pages must be in 1..1,048,576");
  }
  return {};
}

model::Result<std::shared_ptr<LaneMemory>> LaneMemory::create(uint32_t uid, const LaneShape& shape,
                                                              uint32_t lanes) {
  std::shared_ptr<LaneMemory> memory(new LaneMemory(uid, shape, lanes));
  memory->control_ = QUIRE_TRY(SharedRegion::create(
      lanes * shape.control().bytes, ClientAccess::kReadWrite, Allocation::kByClient));
  memory->reply_ = QUIRE_TRY(SharedRegion::create(lanes * shape.reply().bytes,
                                                  ClientAccess::kReadOnly, Allocation::kElsewhere));
  return memory;
}

uint32_t LaneMemory::lanes_beside(uint32_t lanes, const LaneShape& shape) {
  if (lanes < kMostLanes) return 1;
  const uint64_t fit = kMostBytes / shape.total_bytes();
  return std::clamp<uint32_t>(fit, 1, kMostLanes);
}

uint32_t LaneMemory::take_place() {
  const auto place = static_cast<uint32_t>(std::countr_one(taken_));
  taken_ |= 1u << place;
  return place;
}

void LaneMemory::give_back(uint32_t place) { taken_ &= ~(1u << place); }

void LaneMemory::sent() {
  if (lanes_ > 1) return;
  control_.close_fd();
  reply_.close_fd();
}

Remains LaneMemory::take_remains() {
  Remains remains;
  remains.descriptors[0] = control_.take_fd();
  remains.descriptors[1] = reply_.take_fd();
  remains.mappings[0] = control_.take_mapping();
  remains.mappings[1] = reply_.take_mapping();
  return remains;
}

}  // namespace quire::server
